import math

import torch
from studium import assert_close, exercise
from torch import Tensor


@exercise(
    points=5,
    minutes=12,
    hints=(
        "If eps is right, what does the model think the clean batch was?",
        "Noise that guess again, up to the earlier level, partly with the old noise and partly with fresh noise.",
        "The old and the fresh noise have the variances 1 - before - sigma² and sigma², where before is abar at "
        "t_prev, or 1.",
        "`(xt - (1 - now).sqrt() * eps) / now.sqrt()` is the guess, with `now = abar[t]`.",
    ),
    level="core",
    importance=1,
)
def ddim_step(eps: Tensor, xt: Tensor, t: int, t_prev: int, abar: Tensor, eta: float, z: Tensor) -> Tensor:
    """Return the batch at the earlier row t_prev: one DDIM step from xt (equation 12 of the paper, as in the lesson).

    * eps: (B, *), the prediction of the noise in xt (B, *), which is at row t
    * t > t_prev >= -1: ints; t_prev = -1 stands for clean data
    * abar: (T,) float64
    * eta: 0 to 1, the share of fresh noise
    * z: (B, *), standard normal noise
    * returns: (B, *)

    Nothing is clipped, and the arguments stay as they are.
    """
    ### BEGIN SOLUTION
    now, before = abar[t], abar[t_prev] if t_prev >= 0 else torch.ones_like(abar[t])
    x0hat = (xt - (1 - now).sqrt() * eps) / now.sqrt()
    variance = eta**2 * (1 - before) / (1 - now) * (1 - now / before)
    return before.sqrt() * x0hat + (1 - before - variance).sqrt() * eps + variance.sqrt() * z
    ### END SOLUTION


@ddim_step.test("moves along the noise and ignores z where eta is 0", points=1)
def _(ddim_step):
    abar = torch.tensor([0.64, 0.36], dtype=torch.float64)
    x0, eps = torch.tensor([[2.0, -1.0]]), torch.tensor([[0.5, 3.0]])
    got = ddim_step(eps, 0.6 * x0 + 0.8 * eps, 1, 0, abar, 0.0, torch.full((1, 2), 100.0))
    assert_close(got, 0.8 * x0 + 0.6 * eps, rtol=1e-4, atol=1e-4, message="from t = 1 to t_prev = 0")


@ddim_step.hidden("gives x0hat in the last step", points=1)
def _(ddim_step, rng):
    abar = torch.linspace(0.9, 0.1, 5, dtype=torch.float64)
    for t, eta in ((2, 0.7), (4, 0.0), (0, 0.0), (0, 1.0)):
        x0, eps, z = (torch.randn(3, 2, 4, generator=rng, dtype=torch.float64) for _ in range(3))
        xt = abar[t] ** 0.5 * x0 + (1 - abar[t]) ** 0.5 * eps
        got = ddim_step(eps, xt, t, -1, abar, eta, z)
        assert_close(got, x0, rtol=1e-4, atol=1e-5, message=f"t = {t}, t_prev = -1, eta = {eta}")


@ddim_step.hidden("jumps over any number of steps without noise", points=1)
def _(ddim_step, rng):
    abar = torch.cumprod(1 - 0.3 * torch.rand(8, generator=rng, dtype=torch.float64), 0)
    for t, before in ((7, 3), (5, 0), (2, 1)):
        x0, eps, z = (torch.randn(2, 5, generator=rng, dtype=torch.float64) for _ in range(3))
        xt, expected = (abar[k] ** 0.5 * x0 + (1 - abar[k]) ** 0.5 * eps for k in (t, before))
        kept = [eps.clone(), xt.clone(), abar.clone(), z.clone()]
        got = ddim_step(eps, xt, t, before, abar, 0.0, z)
        assert_close(got, expected, rtol=1e-4, atol=1e-5, message=f"t = {t}, t_prev = {before}, eta = 0")
        assert_close([eps, xt, abar, z], kept, message="the arguments after the call")


@ddim_step.hidden("is the DDPM step with the posterior's variance where eta is 1 and no step is skipped", points=1)
def _(ddim_step, rng):
    betas = 0.02 + 0.4 * torch.rand(6, generator=rng, dtype=torch.float64)
    abar = torch.cumprod(1 - betas, 0)
    for t in (5, 3, 1, 2, 4):
        eps, xt, z = (torch.randn(3, 2, generator=rng, dtype=torch.float64) for _ in range(3))
        mean = (xt - betas[t] / (1 - abar[t]) ** 0.5 * eps) / (1 - betas[t]) ** 0.5
        variance = betas[t] * (1 - abar[t - 1]) / (1 - abar[t])
        got = ddim_step(eps, xt, t, t - 1, abar, 1.0, z)
        assert_close(got, mean + variance**0.5 * z, rtol=1e-4, atol=1e-5, message=f"t = {t}, eta = 1")


@ddim_step.hidden("keeps the noise level right for every eta", points=1)
def _(ddim_step, rng):
    abar = torch.cumprod(1 - 0.05 - 0.3 * torch.rand(8, generator=rng, dtype=torch.float64), 0)
    for t, before, eta in ((7, 2, 0.3), (6, 5, 0.8), (4, 1, 0.5)):
        x0, eps, z = (torch.randn(2, 3, 2, generator=rng, dtype=torch.float64) for _ in range(3))
        now, earlier = float(abar[t]), float(abar[before])
        kept = now / earlier  # the share of the signal that the steps in between leave
        sigma = eta * (1 / (kept / (1 - kept) + 1 / (1 - earlier))) ** 0.5
        expected = earlier**0.5 * x0 + (1 - earlier - sigma**2) ** 0.5 * eps + sigma * z
        got = ddim_step(eps, now**0.5 * x0 + (1 - now) ** 0.5 * eps, t, before, abar, eta, z)
        assert_close(got, expected, rtol=1e-4, atol=1e-5, message=f"t = {t}, t_prev = {before}, eta = {eta}")


ddim_step.mistake(
    "row-minus-one",
    "You read `abar[t_prev]` for t_prev = -1 too, but Python counts index -1 from the end and gives the *last* entry, "
    "the noisiest level; use 1 there, because clean data are pure signal.",
    replace="abar[t_prev] if t_prev >= 0 else torch.ones_like(abar[t])",
    by="abar[t_prev]",
)

ddim_step.mistake(
    "ends-at-row-0",
    "You ended at `abar[0]`; use 1 for t_prev = -1, because row 0 still holds the noise of one step.",
    replace="abar[t_prev] if t_prev >= 0 else torch.ones_like(abar[t])",
    by="abar[max(t_prev, 0)]",
)

ddim_step.mistake(
    "old-noise-whole",
    "You left sigma² out of the square root; the predicted noise must shrink by as much as z adds, because together "
    "they have to match the variance of the earlier level.",
    replace="1 - before - variance",
    by="1 - before",
)

ddim_step.mistake(
    "eta-not-squared",
    "You multiplied the variance by eta; multiply it by eta², because eta scales the noise itself, and a variance "
    "grows with the square of the scale.",
    replace="eta**2",
    by="eta",
)


@ddim_step.misconception(
    "You ignored eta; use it to decide how much fresh noise z is added, because eta = 1 is DDPM and eta = 0 is the "
    "deterministic path.",
    name="eta-ignored",
)
def _(eps, xt, t, t_prev, abar, eta, z):
    now, before = abar[t], abar[t_prev] if t_prev >= 0 else torch.ones_like(abar[t])
    x0hat = (xt - (1 - now).sqrt() * eps) / now.sqrt()
    return before.sqrt() * x0hat + (1 - before).sqrt() * eps


ddim_step.mistake(
    "next-row",
    "You read `abar[t - 1]`; use abar at t_prev, because DDIM may jump over many rows.",
    replace="abar[t_prev]",
    by="abar[t - 1]",
)


@ddim_step.also_correct
def _(eps, xt, t, t_prev, abar, eta, z):
    levels = [1.0, *abar.tolist()]
    now, before = levels[t + 1], levels[t_prev + 1]
    sigma = eta * math.sqrt((1 - before) / (1 - now)) * math.sqrt(1 - now / before)
    direction = math.sqrt(max(1 - before - sigma * sigma, 0.0)) * eps
    x0hat = (xt - math.sqrt(1 - now) * eps) / math.sqrt(now)
    return math.sqrt(before) * x0hat + direction + sigma * z
