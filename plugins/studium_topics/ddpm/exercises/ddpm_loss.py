from collections.abc import Callable

import torch
from studium import assert_close, exercise
from torch import Tensor

from studium_topics.ddpm.exercises.q_sample import q_sample


@exercise(
    points=3,
    minutes=5,
    hints=(
        "What can a model know about the noise if it sees only the noisy batch?",
        "Noise the batch, run the model on it, and compare its answer with the noise that you added.",
        "The answer and eps have the shape (B, *); reduce their squared differences to one number.",
        "`model(q_sample(x0, t, eps, abar), t)`.",
    ),
    level="warm-up",
    importance=3,
)
def ddpm_loss(model: Callable[[Tensor, Tensor], Tensor], x0: Tensor, t: Tensor, eps: Tensor, abar: Tensor) -> Tensor:
    """Return the training loss: the squared error of the model's guess of eps, averaged over all elements.

    * model(x, t): called once, with the noisy batch (B, *) and t (B,); returns (B, *)
    * t: (B,) long; abar: (T,) float64
    * x0, eps: (B, *), the clean batch and the noise to add
    * returns: a tensor with one number, through which gradients reach the model

    You may call `q_sample`.
    """
    ### BEGIN SOLUTION
    predicted = model(q_sample(x0, t, eps, abar), t)
    return (predicted - eps).square().mean()
    ### END SOLUTION


@ddpm_loss.test("is the mean of eps² for a model that always answers 0", points=1)
def _(ddpm_loss):
    eps = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    abar = torch.tensor([0.9, 0.5], dtype=torch.float64)
    loss = ddpm_loss(lambda x, t: torch.zeros_like(x), torch.ones(2, 3), torch.tensor([1, 0]), eps, abar)
    assert_close(loss, torch.tensor(91 / 6), rtol=1e-4, atol=1e-5, message="(1 + 4 + 9 + 16 + 25 + 36) / 6")


@ddpm_loss.hidden("shows the model the noisy batch with the t of every row", points=1)
def _(ddpm_loss, rng):
    abar = torch.linspace(0.95, 0.05, 7, dtype=torch.float64)
    x0, eps = (torch.randn(5, 2, 3, generator=rng, dtype=torch.float64) for _ in range(2))
    t, seen = torch.tensor([3, 6, 0, 4, 1]), []

    def model(x, level):
        seen.append((x, level))
        return 0.5 * x + level.to(x.dtype).mean()

    loss = ddpm_loss(model, x0, t, eps, abar)
    assert len(seen) == 1, f"one call of the model is expected, got {len(seen)}"
    xt = torch.stack([abar[k] ** 0.5 * a + (1 - abar[k]) ** 0.5 * b for k, a, b in zip(t, x0, eps, strict=True)])
    assert_close(seen[0][0], xt, rtol=1e-4, atol=1e-5, message="the noisy batch that the model saw")
    assert_close(seen[0][1], t, message="the t that the model saw")
    expected = ((0.5 * xt + t.double().mean() - eps) ** 2).sum() / 30
    assert_close(loss, expected, rtol=1e-4, atol=1e-5, message="the loss of a known model")


@ddpm_loss.hidden("falls to the irreducible loss for a perfect model, and has gradients", points=1)
def _(ddpm_loss, rng):
    # Data N(2, 0.25): the best guess of eps given x_t is known, and so is the error that it must make.
    abar = torch.tensor([0.9, 0.5, 0.1], dtype=torch.float64)
    t = torch.randint(0, 3, (4000,), generator=rng)
    x0 = 2 + 0.5 * torch.randn(4000, 1, generator=rng, dtype=torch.float64)
    eps = torch.randn(4000, 1, generator=rng, dtype=torch.float64)
    share = torch.ones((), dtype=torch.float64, requires_grad=True)

    def perfect(x, level):
        signal = abar[level].view(-1, 1)
        return share * (1 - signal).sqrt() * (x - 2 * signal.sqrt()) / (0.25 * signal + 1 - signal)

    loss = ddpm_loss(perfect, x0, t, eps, abar)
    assert hasattr(loss, "requires_grad"), f"a tensor with one number is expected, got {type(loss).__name__}"
    floor = float((0.25 * abar[t] / (0.25 * abar[t] + 1 - abar[t])).mean())
    error = abs(float(loss.detach()) - floor) / floor
    assert error < 0.15, f"a perfect model should reach a loss near {floor:.4f}, got {float(loss.detach()):.4f}"
    assert loss.requires_grad, "gradients must reach the model: keep the loss a tensor, without detach or item"
    signal = abar[t].unsqueeze(1)
    guess = perfect(signal.sqrt() * x0 + (1 - signal).sqrt() * eps, t).detach()
    loss.backward()
    assert_close(share.grad, (2 * (guess - eps) * guess).mean(), rtol=1e-4, atol=1e-5, message="the gradient")


@ddpm_loss.misconception(
    "You compared with newly drawn noise; compare with the eps that you added to the batch, because a model cannot "
    "predict noise that it has never seen: its best answer would be 0.",
    name="fresh-target",
)
def _(model, x0, t, eps, abar):
    return (model(q_sample(x0, t, eps, abar), t) - torch.randn_like(eps)).square().mean()


@ddpm_loss.misconception(
    "You showed the model the clean x0; show it the noisy batch, because that is all it has during sampling.",
    name="clean-input",
)
def _(model, x0, t, eps, abar):
    return (model(x0, t) - eps).square().mean()


@ddpm_loss.misconception(
    "You gave the model one t for the whole batch; pass the vector t, because every row has its own level.",
    name="one-t",
)
def _(model, x0, t, eps, abar):
    return (model(q_sample(x0, t, eps, abar), t[0]) - eps).square().mean()


@ddpm_loss.misconception(
    "You compared with x0; compare with eps, because DDPM's model predicts the noise, not the image.",
    name="target-x0",
)
def _(model, x0, t, eps, abar):
    return (model(q_sample(x0, t, eps, abar), t) - x0).square().mean()


@ddpm_loss.misconception(
    "You summed the squared errors; take their mean over all elements, because otherwise the step size depends on the "
    "size of the batch and of the images.",
    name="summed",
)
def _(model, x0, t, eps, abar):
    return (model(q_sample(x0, t, eps, abar), t) - eps).square().sum()


@ddpm_loss.also_correct
def _(model, x0, t, eps, abar):
    level = abar.index_select(0, t).reshape(len(t), *(1 for _ in x0.shape[1:])).type_as(x0)
    xt = torch.lerp(torch.zeros_like(x0), x0, level**0.5) + (1 - level) ** 0.5 * eps
    return torch.nn.functional.mse_loss(model(xt, t), eps)
