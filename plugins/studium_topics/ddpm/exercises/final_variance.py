import math
from collections.abc import Callable

import torch
from studium import assert_close, exercise
from torch import Tensor

from studium_topics.ddpm.exercises.posterior import posterior


@exercise(
    points=6,
    minutes=20,
    hints=(
        "Which straight line through the origin gives the best guess of eps from xt = sqrt(abar) x0 + sqrt(1 - abar) "
        "eps?",
        "The best slope is the covariance of eps and xt divided by the variance of xt. Then the step is a · xt + b · "
        "z: what happens to the variance of xt?",
        "For each row you need one slope, one factor a and one factor b, all plain numbers; the variance starts at 1.",
        "`step` gives a for xt = 1, eps = slope, z = 0, and b for xt = 0, eps = 0, z = 1.",
    ),
    level="core",
    importance=3,
    kind="derive",
)
def final_variance(step: Callable[..., Tensor], s2: float, betas: Tensor) -> float:
    """Return the exact variance of a sampler's output for data N(0, s2), without drawing a sample.

    * step(eps, xt, t, z, betas, var): a step like `p_step`, possibly a wrong one; linear in eps, xt and z together
    * s2 > 0: the variance of the data, which are single numbers
    * betas: (T,) float64

    The sampler starts from N(0, 1), its network has reached the minimum of the training loss, and var is the posterior
    variance.
    """
    ### BEGIN SOLUTION
    abar = torch.cumprod(1 - betas, 0)
    one, zero = betas.new_ones(()), betas.new_zeros(())
    variance = 1.0
    for t in reversed(range(len(betas))):
        slope = (1 - abar[t]).sqrt() / (abar[t] * s2 + 1 - abar[t])  # the best guess of eps is slope * xt
        var = posterior(one, one, t, betas)[1]
        a, b = step(slope, one, t, zero, betas, var), step(zero, zero, t, one, betas, var)
        variance = a.item() ** 2 * variance + b.item() ** 2
    return variance
    ### END SOLUTION


@final_variance.test("agrees with two steps worked out by hand", points=1)
def _(final_variance):
    betas = torch.tensor([0.36, 0.75], dtype=torch.float64)  # abar 0.64 and 0.16

    def step(eps, xt, t, z, betas, var):
        return 0.5 * xt - 0.25 * eps + (var**0.5 * z if t else 0 * z)

    # For s2 = 4 the slopes are sqrt(0.84) / 1.48 at t = 1 and 0.6 / 2.92 at t = 0.
    first, second = 0.5 - 0.25 * 0.84**0.5 / 1.48, 0.5 - 0.25 * 0.6 / 2.92
    expected = second**2 * (first**2 + 0.27 / 0.84)
    assert_close(float(final_variance(step, 4.0, betas)), expected, rtol=1e-4, atol=0, message="s2 = 4, two steps")


@final_variance.hidden("agrees with samples, drawn with the network that the loss asks for", points=2)
def _(final_variance, rng):
    betas = torch.tensor([0.1, 0.3, 0.2, 0.6, 0.7], dtype=torch.float64)
    abar = torch.cumprod(1 - betas, 0)

    def step(eps, xt, t, z, betas, var):
        mean = (xt - betas[t] / (1 - abar[t]) ** 0.5 * eps) / (1 - betas[t]) ** 0.5
        return mean + var**0.5 * z if t else mean

    for s2 in (0.09, 2.0):
        x0, eps = (torch.randn(200_000, generator=rng, dtype=torch.float64) for _ in range(2))
        x = torch.randn(200_000, generator=rng, dtype=torch.float64)
        for t in (4, 3, 2, 1, 0):
            xt = abar[t] ** 0.5 * s2**0.5 * x0 + (1 - abar[t]) ** 0.5 * eps
            slope = (xt * eps).mean() / (xt * xt).mean()  # least squares
            before = abar[t - 1] if t else 1.0
            z = torch.randn(200_000, generator=rng, dtype=torch.float64)
            x = step(slope * x, x, t, z, betas, betas[t] * (1 - before) / (1 - abar[t]))
        found = float(final_variance(step, s2, betas))
        assert_close(found / float(x.var()), 1.0, rtol=0.03, atol=0, message=f"s2 = {s2}: over that of samples")


@final_variance.hidden("is exact for right and for wrong steps, and for every width", points=3)
def _(final_variance, rng):
    def right(eps, xt, t, z, betas, var):
        level = torch.prod(1 - betas[: t + 1])
        mean = (xt - betas[t] / (1 - level) ** 0.5 * eps) / (1 - betas[t]) ** 0.5
        return mean + var**0.5 * z if t else mean

    def noisy_end(eps, xt, t, z, betas, var):
        return right(eps, xt, t, z, betas, var) + (0 if t else 0.2 * z)

    def quiet(eps, xt, t, z, betas, var):
        return right(eps, xt, t, 0 * z, betas, var)

    for T, s2 in ((12, 1.0), (30, 0.25), (7, 0.01), (9, 6.0)):
        betas = 0.05 + 0.5 * torch.rand(T, generator=rng, dtype=torch.float64)
        level = [1.0, *torch.cumprod(1 - betas, 0).tolist()]
        for name, step in (("right", right), ("noisy at the end", noisy_end), ("without noise", quiet)):
            variance = 1.0
            for t in reversed(range(T)):
                before, now, beta = level[t], level[t + 1], float(betas[t])
                factor = (1 - beta / (now * s2 + 1 - now)) / (1 - beta) ** 0.5
                added = 0.0 if step is quiet else beta * (1 - before) / (1 - now)
                variance = factor**2 * variance + added
            variance += 0.04 if step is noisy_end else 0.0
            message = f"T = {T}, s2 = {s2}, a step that is {name}"
            assert_close(float(final_variance(step, s2, betas)), variance, rtol=1e-4, atol=1e-12, message=message)


@final_variance.misconception(
    "You let the network answer 0; at the minimum of the loss it answers the mean of eps given xt, which is 0 only "
    "where xt is 0.",
    name="network-answers-0",
)
def _(step, s2, betas):
    one, zero, variance = torch.ones(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64), 1.0
    for t in reversed(range(len(betas))):
        var = posterior(one, one, t, betas)[1]
        a, b = step(zero, one, t, zero, betas, var), step(zero, zero, t, one, betas, var)
        variance = a.item() ** 2 * variance + b.item() ** 2
    return variance


@final_variance.misconception(
    "You let the network answer xt / sqrt(1 - abar), as if xt were pure noise; part of xt is signal, so the best "
    "guess is smaller: divide by the variance of xt, abar · s2 + 1 - abar.",
    name="all-is-noise",
)
def _(step, s2, betas):
    abar = torch.cumprod(1 - betas, 0)
    one, zero, variance = torch.ones(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64), 1.0
    for t in reversed(range(len(betas))):
        var = posterior(one, one, t, betas)[1]
        a, b = step(one / (1 - abar[t]).sqrt(), one, t, zero, betas, var), step(zero, zero, t, one, betas, var)
        variance = a.item() ** 2 * variance + b.item() ** 2
    return variance


@final_variance.misconception(
    "You left out a square root in the slope; the covariance of eps and xt is sqrt(1 - abar), because eps enters xt "
    "with that factor.",
    name="slope-without-root",
)
def _(step, s2, betas):
    abar = torch.cumprod(1 - betas, 0)
    one, zero, variance = torch.ones(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64), 1.0
    for t in reversed(range(len(betas))):
        slope, var = (1 - abar[t]) / (abar[t] * s2 + 1 - abar[t]), posterior(one, one, t, betas)[1]
        a, b = step(slope * one, one, t, zero, betas, var), step(zero, zero, t, one, betas, var)
        variance = a.item() ** 2 * variance + b.item() ** 2
    return variance


@final_variance.misconception(
    "You added standard deviations; for independent numbers the variances add up, so after a step the variance is a² "
    "times the old one plus b².",
    name="deviations-add",
)
def _(step, s2, betas):
    abar = torch.cumprod(1 - betas, 0)
    one, zero, deviation = torch.ones(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64), 1.0
    for t in reversed(range(len(betas))):
        slope, var = (1 - abar[t]).sqrt() / (abar[t] * s2 + 1 - abar[t]), posterior(one, one, t, betas)[1]
        a, b = step(slope * one, one, t, zero, betas, var), step(zero, zero, t, one, betas, var)
        deviation = abs(a.item()) * deviation + abs(b.item())
    return deviation**2


@final_variance.misconception(
    "You multiplied the variance by a; multiply it by a², because scaling the numbers by a scales their variance by "
    "a².",
    name="factor-not-squared",
)
def _(step, s2, betas):
    abar = torch.cumprod(1 - betas, 0)
    one, zero, variance = torch.ones(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64), 1.0
    for t in reversed(range(len(betas))):
        slope, var = (1 - abar[t]).sqrt() / (abar[t] * s2 + 1 - abar[t]), posterior(one, one, t, betas)[1]
        a, b = step(slope * one, one, t, zero, betas, var), step(zero, zero, t, one, betas, var)
        variance = a.item() * variance + b.item() ** 2
    return variance


@final_variance.also_correct
def _(step, s2, betas):
    levels = [1.0]
    for beta in betas.tolist():
        levels.append(levels[-1] * (1 - beta))
    spread = torch.ones((), dtype=torch.float64)
    for t in range(len(betas) - 1, -1, -1):
        before, now = levels[t], levels[t + 1]
        x, z = torch.tensor([1.0, 0.0], dtype=torch.float64), torch.tensor([0.0, 1.0], dtype=torch.float64)
        eps = math.sqrt(1 - now) * x / (1 + now * (s2 - 1))
        moved = step(eps, x, t, z, betas, float(betas[t]) * (1 - before) / (1 - now))
        spread = (moved * moved * torch.stack([spread, torch.ones_like(spread)])).sum()
    return spread
