import math

import torch
from studium import assert_close, exercise
from torch import Tensor


@exercise(
    points=5,
    minutes=10,
    hints=(
        "You have two sources of information about the cleaner batch: what are they, and how certain is each?",
        "The lesson has both formulas; its k is t + 1 here, so ᾱ of level k - 1 is the row before t.",
        "You need three numbers: the beta of row t, the abar of row t, and the abar of the row before (1 for t = 0).",
        "`torch.cumprod(1 - betas, 0)`, and `torch.ones_like(abar[0])` where there is no row before.",
    ),
    level="core",
    importance=3,
)
def posterior(x0hat: Tensor, xt: Tensor, t: int, betas: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and variance of the batch one level cleaner than xt, given xt and the clean batch x0hat.

    * x0hat, xt: (B, *), float32 or float64; xt is at the level of row t
    * betas: (T,) float64, each between 0 and 1
    * t: an int, 0 to T - 1, the same for the whole batch
    * returns: the pair (mean (B, *), variance as one number); at t = 0 it is (x0hat, 0)

    The arguments stay as they are.
    """
    ### BEGIN SOLUTION
    abar = torch.cumprod(1 - betas, 0)
    before = abar[t - 1] if t > 0 else torch.ones_like(abar[0])
    mean = before.sqrt() * betas[t] * x0hat + (1 - betas[t]).sqrt() * (1 - before) * xt
    return mean / (1 - abar[t]), betas[t] * (1 - before) / (1 - abar[t])
    ### END SOLUTION


@posterior.test("averages both opinions by their precisions, and is x0hat with no variance at t = 0", points=1)
def _(posterior):
    betas = torch.tensor([0.36, 0.75], dtype=torch.float64)  # abar 0.64 and 0.16
    mean, variance = posterior(torch.tensor([[1.0, -2.0]]), torch.tensor([[3.0, 0.5]]), 1, betas)
    expected = torch.tensor([[(0.6 * 1 + 0.18 * 3) / 0.84, (0.6 * -2 + 0.18 * 0.5) / 0.84]])
    assert_close(mean, expected, rtol=1e-4, atol=1e-5, message="the mean at t = 1")
    assert_close(float(variance), 0.27 / 0.84, rtol=1e-4, atol=1e-6, message="the variance at t = 1")
    x0hat = torch.tensor([[1.0, -2.0]])
    mean, variance = posterior(x0hat, torch.tensor([[5.0, 5.0]]), 0, torch.tensor([0.1, 0.2], dtype=torch.float64))
    assert_close(mean, x0hat, rtol=1e-4, atol=1e-5, message="the mean at t = 0")
    assert abs(float(variance)) < 1e-6, f"the variance at t = 0 is expected to be 0, got {float(variance):g}"


@posterior.hidden("gives the mean that Bayes' rule gives, in the form with eps", points=1)
def _(posterior, rng):
    betas = 0.02 + 0.5 * torch.rand(6, generator=rng, dtype=torch.float64)
    for t in (5, 3, 0, 1, 2, 4):
        x0, eps = (torch.randn(3, 2, 4, generator=rng, dtype=torch.float64) for _ in range(2))
        signal = float(torch.prod(1 - betas[: t + 1]))
        xt = signal**0.5 * x0 + (1 - signal) ** 0.5 * eps
        expected = (xt - betas[t] / (1 - signal) ** 0.5 * eps) / (1 - betas[t]) ** 0.5
        assert_close(posterior(x0, xt, t, betas)[0], expected, rtol=1e-4, atol=1e-5, message=f"the mean at t = {t}")


@posterior.hidden("gives the variance whose inverse adds what both neighbours know", points=1)
def _(posterior, rng):
    betas = 0.02 + 0.5 * torch.rand(6, generator=rng, dtype=torch.float64)
    x = torch.randn(2, 3, generator=rng, dtype=torch.float64)
    for t in (5, 3, 1, 2, 4):
        before = float(torch.prod(1 - betas[:t]))
        precision = (1 - float(betas[t])) / float(betas[t]) + 1 / (1 - before)
        variance = float(posterior(x, -x, t, betas)[1])
        assert_close(variance, 1 / precision, rtol=1e-4, atol=1e-6, message=f"the variance at t = {t}")


@posterior.hidden("has no special case but t = 0, not even in a schedule of one step", points=1)
def _(posterior, rng):
    x0, xt = (torch.randn(2, 1, 3, 4, generator=rng, dtype=torch.float64) for _ in range(2))
    kept = x0.clone(), xt.clone()
    for T in (1, 3):
        betas = 0.1 + 0.4 * torch.rand(T, generator=rng, dtype=torch.float64)
        mean, variance = posterior(x0, xt, 0, betas)
        assert_close(mean, x0, rtol=1e-4, atol=1e-5, message=f"the mean at t = 0 of T = {T}")
        assert abs(float(variance)) < 1e-6, f"the variance at t = 0 is expected to be 0, got {float(variance):g}"
    assert_close([x0, xt], list(kept), message="the arguments after the call")


@posterior.hidden("keeps float32, and leaves the schedule as it is", points=1)
def _(posterior, rng):
    betas = 0.02 + 0.5 * torch.rand(5, generator=rng, dtype=torch.float64)
    kept, x0, xt = betas.clone(), torch.randn(2, 3, generator=rng), torch.randn(2, 3, generator=rng)
    now, before = (float(torch.prod(1 - betas[:k])) for k in (4, 3))
    pull = before**0.5 / (1 - before) * x0 + (1 - float(betas[3])) ** 0.5 / float(betas[3]) * xt
    expected = pull / (1 / (1 - before) + (1 - float(betas[3])) / float(betas[3]))
    mean = posterior(x0, xt, 3, betas)[0]
    assert_close(mean, expected, rtol=1e-4, atol=1e-5, message=f"the mean at t = 3, where abar is {now:.3g}")
    assert mean.dtype == x0.dtype, f"the mean is expected in the dtype of x0hat, float32, got {mean.dtype}"
    assert_close(betas, kept, message="betas after the call")


@posterior.misconception(
    "You used `abar[t]` where you need the row before t; the result is one level cleaner, so combine how noisy that "
    "level is (the row before t) with what one more step did (`betas[t]`).",
    name="row-itself",
)
def _(x0hat, xt, t, betas):
    abar = torch.cumprod(1 - betas, 0)
    mean = abar[t].sqrt() * betas[t] * x0hat + (1 - betas[t]).sqrt() * (1 - abar[t]) * xt
    return mean / (1 - abar[t]), betas[t]


posterior.mistake(
    "variance-beta",
    "You returned `betas[t]` as the variance; the posterior variance is smaller, because knowing the clean batch "
    "leaves less uncertainty: its precision is the sum of two precisions.",
    replace="betas[t] * (1 - before) / (1 - abar[t])",
    by="betas[t]",
)

posterior.mistake(
    "row-minus-one",
    "You read `abar[t - 1]` at t = 0 as well, but Python takes index -1 as the *last* entry, the noisiest level; use "
    "1 there, because before row 0 everything is signal.",
    replace="abar[t - 1] if t > 0 else torch.ones_like(abar[0])",
    by="abar[t - 1]",
)

posterior.mistake(
    "standard-deviation",
    "You returned the standard deviation; return the variance without a square root, because variances are what add "
    "up over the steps.",
    replace="betas[t] * (1 - before) / (1 - abar[t])",
    by="(betas[t] * (1 - before) / (1 - abar[t])).sqrt()",
)

posterior.mistake(
    "product-of-betas",
    "You took the cumulative product of the betas; abar is the product of the alphas, because each step keeps the "
    "share 1 - beta of the signal.",
    replace="torch.cumprod(1 - betas, 0)",
    by="torch.cumprod(betas, 0)",
)


@posterior.also_correct
def _(x0hat, xt, t, betas):
    levels = [1.0]
    for beta in betas.tolist():
        levels.append(levels[-1] * (1 - beta))
    before, now, alpha = levels[t], levels[t + 1], levels[t + 1] / levels[t]
    return [
        (math.sqrt(before) * (1 - alpha) * x0hat + math.sqrt(alpha) * (1 - before) * xt) / (1 - now),
        (1 - alpha) * (1 - before) / (1 - now),
    ]
