import math

import torch
from studium import assert_close, exercise
from torch import Tensor

from studium_topics.ddpm.exercises.posterior import posterior


@exercise(
    points=4,
    minutes=12,
    hints=(
        "Of the three tensors xt, x0hat and eps: which one is supposed to lie in the range of the data?",
        "Check each line by itself: the formula for x0hat, what is clipped, and what z is multiplied by.",
        "One bug is a missing root, one is the wrong variable, and one is a variance instead of a standard deviation.",
        "`x0hat.clamp(-1, 1)` goes into `posterior`.",
    ),
    level="core",
    importance=2,
    kind="find the bug",
    shows="unchanged",
)
def clipped_step(eps: Tensor, xt: Tensor, t: int, z: Tensor, betas: Tensor) -> Tensor:
    """Return one DDPM step whose guess of the clean batch is clipped to [-1, 1], with the posterior's variance.

    The arguments are those of `p_step`; they stay as they are. The code below has three bugs; correct them.
    """
    ### BEGIN SOLUTION
    abar = torch.prod(1 - betas[: t + 1])
    x0hat = (xt - (1 - abar).sqrt() * eps) / abar.sqrt()
    mean, var = posterior(x0hat.clamp(-1, 1), xt, t, betas)
    return mean + var**0.5 * z
    ### END SOLUTION


@clipped_step.test("clips the guess of the clean batch and nothing else", points=1)
def _(clipped_step):
    betas = torch.tensor([0.36, 0.75], dtype=torch.float64)  # abar 0.64 and 0.16
    xt, eps, z = torch.tensor([[3.0, -0.5]]), torch.tensor([[1.0, -0.6]]), torch.zeros(1, 2)
    guess = [1.0, (-0.5 + 0.6 * 0.84**0.5) / 0.4]  # the first is 5.2 before it is clipped
    expected = torch.tensor([[(0.6 * guess[0] + 0.18 * 3.0) / 0.84, (0.6 * guess[1] + 0.18 * -0.5) / 0.84]])
    assert_close(clipped_step(eps, xt, 1, z, betas), expected, rtol=1e-4, atol=1e-5, message="t = 1, z = 0")


@clipped_step.hidden("is the step of the posterior, with noise of its variance, where nothing needs clipping", points=1)
def _(clipped_step, rng):
    betas = 0.05 + 0.4 * torch.rand(5, generator=rng, dtype=torch.float64)
    for t in (3, 4, 1, 2, 0):
        x0 = 1.8 * torch.rand(3, 2, 4, generator=rng, dtype=torch.float64) - 0.9
        eps, z = (torch.randn(3, 2, 4, generator=rng, dtype=torch.float64) for _ in range(2))
        now, before = (float(torch.prod(1 - betas[:k])) for k in (t + 1, t))
        xt, beta = now**0.5 * x0 + (1 - now) ** 0.5 * eps, float(betas[t])
        kept = [eps.clone(), xt.clone(), z.clone(), betas.clone()]
        mean = (xt - beta / (1 - now) ** 0.5 * eps) / (1 - beta) ** 0.5
        expected = mean + (beta * (1 - before) / (1 - now)) ** 0.5 * z
        assert_close(clipped_step(eps, xt, t, z, betas), expected, rtol=1e-4, atol=1e-5, message=f"t = {t}")
        assert_close([eps, xt, z, betas], kept, message="the arguments after the call")


@clipped_step.hidden("clips wherever the guess leaves the range, below and above, in float32 too", points=2)
def _(clipped_step, rng):
    betas = 0.05 + 0.4 * torch.rand(4, generator=rng, dtype=torch.float64)
    for t in (2, 3, 1):
        eps, xt, z = (2 * torch.randn(2, 1, 5, generator=rng) for _ in range(3))
        now, before = (float(torch.prod(1 - betas[:k])) for k in (t + 1, t))
        guess = torch.minimum(torch.maximum((xt - (1 - now) ** 0.5 * eps) / now**0.5, -torch.ones(1)), torch.ones(1))
        precisions = 1 / (1 - before), (1 - float(betas[t])) / float(betas[t])
        pulled = before**0.5 * guess * precisions[0] + xt / (1 - float(betas[t])) ** 0.5 * precisions[1]
        expected = pulled / sum(precisions) + sum(precisions) ** -0.5 * z
        found = clipped_step(eps, xt, t, z, betas)
        assert_close(found, expected, rtol=1e-3, atol=1e-4, message=f"t = {t}, guesses from -9 to 9")
        assert found.dtype == xt.dtype, f"the result is expected in the dtype of xt, float32, got {found.dtype}"


@clipped_step.misconception(
    "All three bugs are still there; look at what is clipped, at the root in the guess, and at the factor of z.",
    name="unchanged",
)
def _(eps, xt, t, z, betas):
    abar = torch.prod(1 - betas[: t + 1])
    x0hat = (xt - (1 - abar) * eps) / abar.sqrt()
    mean, var = posterior(x0hat, xt.clamp(-1, 1), t, betas)
    return mean + var * z


@clipped_step.misconception(
    "You clipped xt; clip the guess of the clean batch instead, because most of xt is noise, which may leave [-1, 1].",
    name="clips-the-noisy-batch",
)
def _(eps, xt, t, z, betas):
    abar = torch.prod(1 - betas[: t + 1])
    mean, var = posterior((xt - (1 - abar).sqrt() * eps) / abar.sqrt(), xt.clamp(-1, 1), t, betas)
    return mean + var**0.5 * z


clipped_step.mistake(
    "clips-both",
    "You clipped xt as well as the guess; clip only the guess. xt holds the noise that later steps remove, and it "
    "goes into the average as it is.",
    replace="posterior(x0hat.clamp(-1, 1), xt, t, betas)",
    by="posterior(x0hat.clamp(-1, 1), xt.clamp(-1, 1), t, betas)",
)


@clipped_step.misconception(
    "You left a bug in the guess; the noise in xt has the size sqrt(1 - abar), so subtract that times eps.",
    name="guess-without-root",
)
def _(eps, xt, t, z, betas):
    abar = torch.prod(1 - betas[: t + 1])
    mean, var = posterior(((xt - (1 - abar) * eps) / abar.sqrt()).clamp(-1, 1), xt, t, betas)
    return mean + var**0.5 * z


@clipped_step.misconception(
    "You left a bug in the noise; z has variance 1, so multiply it by the root of the variance.",
    name="variance-for-deviation",
)
def _(eps, xt, t, z, betas):
    abar = torch.prod(1 - betas[: t + 1])
    mean, var = posterior(((xt - (1 - abar).sqrt() * eps) / abar.sqrt()).clamp(-1, 1), xt, t, betas)
    return mean + var * z


@clipped_step.also_correct
def _(eps, xt, t, z, betas):
    now, before, beta = *(math.prod((1 - betas[:k]).tolist()) for k in (t + 1, t)), betas[t]
    x0hat = torch.clip(xt * now**-0.5 - (1 / now - 1) ** 0.5 * eps, min=-1, max=1)
    mean = (before**0.5 * beta * x0hat + (1 - beta) ** 0.5 * (1 - before) * xt) / (1 - now)
    return mean + math.sqrt(beta * (1 - before) / (1 - now)) * z
