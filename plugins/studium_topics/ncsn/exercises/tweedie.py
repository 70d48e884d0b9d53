import torch
from studium import assert_close, exercise
from torch import Tensor


@exercise(
    points=4,
    minutes=8,
    hints=(
        "The score is the mean of −z/σ over all z that could have led to x. What does that make the mean of z?",
        "Once x is known, x = x0 + σ z holds for the means too.",
        "`sigma` has one number for each row; to multiply `score` (B, *), it needs the shape (B, 1, …, 1).",
        "`sigma.view(-1, *[1] * (x.ndim - 1))`.",
    ),
    level="warm-up",
    importance=3,
    kind="derive",
)
def tweedie(x: Tensor, sigma: Tensor, score: Tensor) -> tuple[Tensor, Tensor]:
    """Return what the score at x tells us about the clean data and the noise: the means E[x0 | x] and E[z | x].

    * x: (B, *), noisy data, x = x0 + σ z with standard normal z
    * sigma: (B,), above 0, the level of each row
    * score: (B, *), a tensor: the gradient of log p_σ at x
    * returns: the pair, each (B, *)

    The arguments stay as they are.
    """
    ### BEGIN SOLUTION
    level = sigma.view(-1, *[1] * (x.ndim - 1))  # (B, 1, ...)
    return x + level**2 * score, -level * score
    ### END SOLUTION


@tweedie.test("finds the two halves of x by hand", points=1)
def _(tweedie):
    x, score = torch.tensor([[3.0, 1.0], [3.0, 1.0]]), torch.tensor([[-0.5, 1.0], [-0.5, 1.0]])
    clean, noise = tweedie(x, torch.tensor([2.0, 0.5]), score)
    assert_close(clean, torch.tensor([[1.0, 5.0], [2.875, 1.25]]), rtol=1e-4, atol=1e-5, message="E[x0 | x]")
    assert_close(noise, torch.tensor([[1.0, -2.0], [0.25, -0.5]]), rtol=1e-4, atol=1e-5, message="E[z | x]")


@tweedie.hidden("gives the posterior means of Gaussian data, by Bayes' rule", points=2)
def _(tweedie, rng):
    for shape in ((5, 3), (3, 2, 4), (4, 4)):
        sigma = torch.tensor([0.1, 0.9, 2.0, 7.0, 0.5], dtype=torch.float64)[: shape[0]]
        m, v = -0.8, 2.3
        x = 3 * torch.randn(shape, generator=rng, dtype=torch.float64)
        wide = sigma.reshape(-1, *(1 for _ in shape[1:]))
        score = (m - x) / (v + wide**2)
        kept = [x.clone(), sigma.clone(), score.clone()]
        clean, noise = tweedie(x, sigma, score)
        precision = 1 / v + 1 / wide**2
        expected = (m / v + x / wide**2) / precision
        assert_close(clean, expected, rtol=1e-4, atol=1e-5, message=f"E[x0 | x], shape {shape}")
        assert_close(noise, (x - expected) / wide, rtol=1e-4, atol=1e-5, message=f"E[z | x], shape {shape}")
        assert_close([x, sigma, score], kept, message="the arguments after the call")


@tweedie.hidden("averages over the points that x may have come from", points=1)
def _(tweedie, rng):
    points = torch.randn(4, 2, generator=rng, dtype=torch.float64)
    for level in (0.4, 1.0, 3.0):
        at = torch.randn(6, 2, generator=rng, dtype=torch.float64).requires_grad_(True)
        squared = ((at[:, None] - points) ** 2).sum(-1)
        density = torch.exp(-squared / (2 * level**2)).sum(-1).log().sum()
        score = torch.autograd.grad(density, at)[0]
        chance = torch.exp(-squared.detach() / (2 * level**2))
        expected = chance @ points / chance.sum(-1, keepdim=True)
        x = at.detach()
        clean, noise = tweedie(x, torch.full((6,), level, dtype=torch.float64), score)
        assert_close(clean, expected, rtol=1e-4, atol=1e-5, message=f"the mean of four points, σ = {level:g}")
        assert_close(x - level * noise, expected, rtol=1e-4, atol=1e-5, message=f"x - σ E[z | x], σ = {level:g}")


tweedie.mistake(
    "sigma-not-squared",
    "You multiplied the score by σ; multiply by σ², because a score is one over a length and the step to the clean "
    "data is a length.",
    replace="level**2",
    by="level",
)

tweedie.mistake(
    "against-the-score",
    "You subtracted the score from x, which flips the sign of the noise as well; add it, because the score points from "
    "x to where the data are.",
    replace="x + level**2 * score, -level * score",
    by="x - level**2 * score, level * score",
)

tweedie.mistake(
    "noise-of-the-wrong-sign",
    "Your clean data are right, but your noise has the wrong sign; the score points back to the data, so it points "
    "against z.",
    replace="-level",
    by="level",
)

tweedie.mistake(
    "noise-not-divided",
    "You returned the noise as it appears in x, σ z; divide by σ once more, because E[z | x] is the mean of the "
    "standard noise z.",
    replace="-level",
    by="-(level**2)",
)

tweedie.mistake(
    "pair-swapped",
    "You returned the pair in the wrong order; put the clean data first, because the statement names E[x0 | x] first.",
    replace="x + level**2 * score, -level * score",
    by="-level * score, x + level**2 * score",
)


@tweedie.misconception(
    "You let `sigma` broadcast along the last axis; its B numbers belong to the rows, because each example has its own "
    "level: use the shape (B, 1, …, 1).",
    name="sigma-by-column",
)
def _(x, sigma, score):
    return x + sigma**2 * score, -sigma * score


@tweedie.misconception(
    "You returned only the clean data; return a pair, the clean data and the noise.",
    name="clean-data-alone",
)
def _(x, sigma, score):
    return x + sigma.view(-1, *[1] * (x.ndim - 1)) ** 2 * score


@tweedie.also_correct
def _(x, sigma, score):
    noise = torch.einsum("b,b...->b...", -sigma, score)
    return [x - torch.einsum("b,b...->b...", sigma, noise), noise]
