from collections.abc import Callable

import torch
from studium import assert_close, exercise
from torch import Tensor


@exercise(
    points=5,
    minutes=12,
    hints=(
        "What input does the model get, and which noise is in it?",
        "Compare σ times the answer with the negative noise: both have size about 1 at every level.",
        "`sigma` has one number for each row; to multiply x0 (B, *), it needs the shape (B, 1, …, 1).",
        "`sigma.view(-1, *[1] * (x0.ndim - 1))`, and `.square().flatten(1).sum(-1)`.",
    ),
    level="core",
    importance=3,
)
def dsm_loss(score: Callable[[Tensor, Tensor], Tensor], x0: Tensor, sigma: Tensor, z: Tensor) -> Tensor:
    """Return each row's denoising score matching loss with the weight σ², that is, σ² times the ½|·|² of the lesson.

    * score(x, sigma): called once, with the noisy batch (B, *) and sigma (B,); returns (B, *)
    * x0: (B, *), clean data; z: (B, *), the standard normal noise to add
    * sigma: (B,), above 0, the level of each row
    * returns: (B,), through which gradients reach the model; |·|² sums over all axes of a row

    The arguments stay as they are.
    """
    ### BEGIN SOLUTION
    level = sigma.view(-1, *[1] * (x0.ndim - 1))  # (B, 1, ...)
    noisy = x0 + level * z
    off = level * score(noisy, sigma) + z  # both are of size 1 at every level
    return off.square().flatten(1).sum(-1) / 2
    ### END SOLUTION


@dsm_loss.test("is half of |z|² for a model that always answers 0", points=1)
def _(dsm_loss):
    z = torch.tensor([[1.0, 2.0, 3.0], [0.0, -1.0, 1.0]])
    loss = dsm_loss(lambda x, sigma: torch.zeros_like(x), torch.ones(2, 3), torch.tensor([0.5, 7.0]), z)
    assert_close(loss, torch.tensor([7.0, 1.0]), rtol=1e-4, atol=1e-5, message="(1 + 4 + 9)/2 and (0 + 1 + 1)/2")


@dsm_loss.hidden("is what theory says for the exact score of a Gaussian, each row at its own level", points=2)
def _(dsm_loss, rng):
    # Data N(m, v): the noisy score is (m - x)/(v + σ²), which leaves (v z - σ (x0 - m))/(v + σ²).
    for shape in ((5, 3), (4, 2, 3), (3, 3)):
        sigma = torch.tensor([0.01, 0.4, 1.0, 3.0, 10.0], dtype=torch.float64)[: shape[0]]
        v, m = 1.7, 0.6
        x0, z = (torch.randn(shape, generator=rng, dtype=torch.float64) for _ in range(2))

        def score(x, level, v=v, m=m):
            return (m - x) / (v + level.view(-1, *[1] * (x.ndim - 1)) ** 2)

        rows = []
        for a, level, b in zip(x0, sigma, z, strict=True):
            rows.append((((v * b - level * (a - m)) / (v + level**2)) ** 2).sum() / 2)
        found = dsm_loss(score, x0, sigma, z)
        assert_close(found, torch.stack(rows), rtol=1e-4, atol=1e-6, message=f"data of shape {shape}")


@dsm_loss.hidden("shows the model the noisy batch, once, with the level of every row", points=1)
def _(dsm_loss, rng):
    x0, z = (torch.randn(4, 2, 3, generator=rng, dtype=torch.float64) for _ in range(2))
    sigma, seen = torch.tensor([0.1, 5.0, 2.0, 0.7], dtype=torch.float64), []

    def score(x, level):
        seen.append((x, level))
        return 0.5 * x

    kept = [x0.clone(), sigma.clone(), z.clone()]
    found = dsm_loss(score, x0, sigma, z)
    assert len(seen) == 1, f"one call of the model is expected, got {len(seen)}"
    noisy = torch.stack([a + s * b for a, s, b in zip(x0, sigma, z, strict=True)])
    assert_close(seen[0][0], noisy, rtol=1e-4, atol=1e-5, message="what the model saw as x")
    assert_close(seen[0][1], sigma, message="what the model saw as sigma")
    rows = [((0.5 * s * x + b) ** 2).sum() / 2 for x, s, b in zip(noisy, sigma, z, strict=True)]
    assert_close(found, torch.stack(rows), rtol=1e-4, atol=1e-5, message="the losses of the model x/2")
    assert_close([x0, sigma, z], kept, message="the arguments after the call")


@dsm_loss.hidden("lets gradients reach the model", points=1)
def _(dsm_loss, rng):
    x0, z = (torch.randn(6, 2, generator=rng, dtype=torch.float64) for _ in range(2))
    sigma = 0.2 + 3 * torch.rand(6, generator=rng, dtype=torch.float64)
    slope = torch.tensor(-0.3, dtype=torch.float64, requires_grad=True)
    loss = dsm_loss(lambda x, level: slope * x, x0, sigma, z)
    assert hasattr(loss, "requires_grad"), f"a tensor (B,) is expected, got {type(loss).__name__}"
    assert loss.requires_grad, "gradients must reach the model: work without detach, item and no_grad"
    loss.sum().backward()
    noisy = x0 + sigma[:, None] * z
    expected = ((sigma[:, None] * -0.3 * noisy + z) * sigma[:, None] * noisy).sum()
    assert_close(slope.grad, expected, rtol=1e-4, atol=1e-5, message="the gradient of the sum with respect to a slope")


@dsm_loss.misconception(
    "You aimed at +z/σ; the target is −z/σ, because the score points back to the data, against the noise that was "
    "added.",
    name="target-of-the-wrong-sign",
)
def _(score, x0, sigma, z):
    level = sigma.view(-1, *[1] * (x0.ndim - 1))
    return (level * score(x0 + level * z, sigma) - z).square().flatten(1).sum(-1) / 2


@dsm_loss.misconception(
    "You left out the weight σ²; the targets −z/σ have size 1/σ, so the smallest σ would dominate the loss. Multiply "
    "the difference by σ before you square it.",
    name="unweighted",
)
def _(score, x0, sigma, z):
    level = sigma.view(-1, *[1] * (x0.ndim - 1))
    return (score(x0 + level * z, sigma) + z / level).square().flatten(1).sum(-1) / 2


@dsm_loss.misconception(
    "You compared the score itself with −z; compare σ times the score with −z, because the target of the score is "
    "−z/σ.",
    name="target-minus-z",
)
def _(score, x0, sigma, z):
    level = sigma.view(-1, *[1] * (x0.ndim - 1))
    return (score(x0 + level * z, sigma) + z).square().flatten(1).sum(-1) / 2


@dsm_loss.misconception(
    "You let `sigma` broadcast along the last axis; its B numbers belong to the rows, because each example has its "
    "own level: use the shape (B, 1, …, 1).",
    name="sigma-by-column",
)
def _(score, x0, sigma, z):
    return (sigma * score(x0 + sigma * z, sigma) + z).square().flatten(1).sum(-1) / 2


@dsm_loss.misconception(
    "You gave the model the clean data; give it x0 + σ z, because it has to learn the score of the noisy density.",
    name="clean-input",
)
def _(score, x0, sigma, z):
    level = sigma.view(-1, *[1] * (x0.ndim - 1))
    return (level * score(x0, sigma) + z).square().flatten(1).sum(-1) / 2


@dsm_loss.misconception(
    "You left out the ½ in front; the minimum stays where it is, but with the ½ the loss equals J up to a constant, "
    "and the lesson's numbers include it.",
    name="half-forgotten",
)
def _(score, x0, sigma, z):
    level = sigma.view(-1, *[1] * (x0.ndim - 1))
    return (level * score(x0 + level * z, sigma) + z).square().flatten(1).sum(-1)


@dsm_loss.misconception(
    "You averaged over a row's axes; sum over them, because |·|² is the squared length of the vector.",
    name="mean-over-a-row",
)
def _(score, x0, sigma, z):
    level = sigma.view(-1, *[1] * (x0.ndim - 1))
    return (level * score(x0 + level * z, sigma) + z).square().flatten(1).mean(-1) / 2


@dsm_loss.misconception(
    "You averaged over the batch; return one loss for each row, (B,), because we want to tell the levels apart.",
    name="mean-over-the-batch",
)
def _(score, x0, sigma, z):
    level = sigma.view(-1, *[1] * (x0.ndim - 1))
    return (level * score(x0 + level * z, sigma) + z).square().flatten(1).sum(-1).mean() / 2


@dsm_loss.misconception(
    "You drew new noise for the target; use the z that you added to the data, because the model cannot predict noise "
    "that is not in its input.",
    name="fresh-target",
)
def _(score, x0, sigma, z):
    level = sigma.view(-1, *[1] * (x0.ndim - 1))
    return (level * score(x0 + level * z, sigma) + torch.randn_like(z)).square().flatten(1).sum(-1) / 2


@dsm_loss.misconception(
    "You added σ² z; add σ z, because σ is the standard deviation of the noise.",
    name="noise-of-size-variance",
)
def _(score, x0, sigma, z):
    level = sigma.view(-1, *[1] * (x0.ndim - 1))
    return (level * score(x0 + level**2 * z, sigma) + z).square().flatten(1).sum(-1) / 2


@dsm_loss.also_correct
def _(score, x0, sigma, z):
    level = sigma.reshape(len(sigma), *(1 for _ in x0.shape[1:]))
    noisy = x0 + z * level
    target = (x0 - noisy) / level**2
    gap = (score(noisy, sigma) - target).reshape(len(x0), -1)
    return 0.5 * sigma**2 * torch.einsum("bi,bi->b", gap, gap)
