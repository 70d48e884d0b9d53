import math

import torch
from studium import assert_close, exercise
from torch import Tensor


@exercise(
    points=4,
    minutes=8,
    hints=(
        "The sampler undoes one step. Which describes one step: alpha, or its product abar?",
        "First subtract the predicted noise, as much as one step added; then undo one shrinking; then add noise.",
        "All factors are single numbers that belong to row t. z has variance 1; at t = 0 you add no noise.",
        "`abar = torch.prod(1 - betas[: t + 1])`, and `(1 - betas[t]).sqrt()` undoes one shrinking.",
    ),
    level="core",
    importance=3,
)
def p_step(eps: Tensor, xt: Tensor, t: int, z: Tensor, betas: Tensor, var: float | Tensor) -> Tensor:
    """Return the batch one level cleaner than xt: one step of the paper's algorithm 2.

    * eps: (B, *), the noise predicted in xt (B, *)
    * t: the row of xt's level, 0 to T - 1
    * z: (B, *), standard normal noise
    * betas: (T,) float64
    * var: at least 0, the variance of the noise to add
    * returns: (B, *), the mean written in terms of eps, plus noise made from z unless t is 0

    Nothing is clipped. The arguments stay as they are.
    """
    ### BEGIN SOLUTION
    abar = torch.prod(1 - betas[: t + 1])
    mean = (xt - betas[t] / (1 - abar).sqrt() * eps) / (1 - betas[t]).sqrt()
    return mean + var**0.5 * z if t > 0 else mean
    ### END SOLUTION


@p_step.test("gives the mean where z is 0", points=1)
def _(p_step):
    betas = torch.tensor([0.36, 0.75], dtype=torch.float64)  # alpha 0.64, 0.25; abar 0.64, 0.16
    xt, eps, z = torch.tensor([[5.0, 1.0]]), torch.tensor([[1.0, 2.0]]), torch.zeros(1, 2)
    first = torch.tensor([[(5 - 0.6) / 0.8, (1 - 1.2) / 0.8]])
    assert_close(p_step(eps, xt, 0, z, betas, 0.3), first, rtol=1e-4, atol=1e-5, message="t = 0")
    second = torch.tensor([[(5 - 0.75 / 0.84**0.5) / 0.5, (1 - 1.5 / 0.84**0.5) / 0.5]])
    assert_close(p_step(eps, xt, 1, z, betas, 0.3), second, rtol=1e-4, atol=1e-5, message="t = 1")


@p_step.hidden("lands where Bayes' rule says, with noise of the variance asked for", points=1)
def _(p_step, rng):
    betas = 0.02 + 0.5 * torch.rand(5, generator=rng, dtype=torch.float64)
    for t in (4, 3, 2, 1):
        x0, eps, z = (torch.randn(4, 3, 2, generator=rng, dtype=torch.float64) for _ in range(3))
        now, before = (float(torch.prod(1 - betas[:k])) for k in (t + 1, t))
        xt = now**0.5 * x0 + (1 - now) ** 0.5 * eps
        pull = (1 - float(betas[t])) ** 0.5 / float(betas[t]) * xt + before**0.5 / (1 - before) * x0
        mean = pull / ((1 - float(betas[t])) / float(betas[t]) + 1 / (1 - before))
        for var in (0.0, 0.16, betas[t]):
            got = p_step(eps, xt, t, z, betas, var)
            assert_close(got, mean + float(var) ** 0.5 * z, rtol=1e-4, atol=1e-5, message=f"t = {t}, var = {var:.3g}")


@p_step.hidden("adds no noise in the last step", points=1)
def _(p_step, rng):
    betas = 0.1 + 0.3 * torch.rand(4, generator=rng, dtype=torch.float64)
    x0, eps, z = (torch.randn(2, 3, 2, 2, generator=rng, dtype=torch.float64) for _ in range(3))
    xt = (1 - betas[0]) ** 0.5 * x0 + betas[0] ** 0.5 * eps
    kept = [eps.clone(), xt.clone(), z.clone(), betas.clone()]
    cleaned = p_step(eps, xt, 0, z, betas, betas[0])
    assert_close(cleaned, x0, rtol=1e-4, atol=1e-5, message="the clean batch out of t = 0")
    assert_close([eps, xt, z, betas], kept, message="the arguments after the call")


@p_step.hidden("turns noise into Gaussian data with exactly the variance that theory predicts", points=1)
def _(p_step):
    # Data N(0, s2): the perfect eps is linear in x_t, so x and z of size 1 show how a step treats a variance.
    T, s2 = 30, torch.tensor([[1.0], [0.25], [0.01]], dtype=torch.float64)
    betas = 1000 / T * torch.linspace(1e-4, 0.02, T, dtype=torch.float64)
    abar = torch.cumprod(1 - betas, 0)
    x, z = (torch.tensor([pair] * 3, dtype=torch.float64) for pair in ([1.0, 0.0], [0.0, 1.0]))
    for kind in ("beta", "posterior"):
        variance, expected = torch.ones(3, dtype=torch.float64), torch.ones(3, dtype=torch.float64)
        for t in reversed(range(T)):
            before = abar[t - 1] if t else torch.ones_like(abar[0])
            var = betas[t] if kind == "beta" else betas[t] * (1 - before) / (1 - abar[t])
            spread = abar[t] * s2 + 1 - abar[t]  # (3, 1)
            got = p_step((1 - abar[t]) ** 0.5 * x / spread, x, t, z, betas, var)
            variance = got[:, 0] ** 2 * variance + got[:, 1] ** 2
            factor = (1 - betas[t] / spread[:, 0]) / (1 - betas[t]) ** 0.5
            expected = factor**2 * expected + (var if t else 0)
        assert_close(variance, expected, rtol=1e-4, atol=1e-6, message=f"final variances with {kind} as var")


p_step.mistake(
    "root-of-abar",
    "You divided by the root of abar, the shrinking of all steps so far, which makes the sample grow without bound; "
    "divide by the root of one alpha, because one step undoes one step.",
    replace="(1 - betas[t]).sqrt()",
    by="abar.sqrt()",
)


@p_step.misconception(
    "You added noise in the last step; at t = 0 return only the mean, because it is the finished sample and no later "
    "step removes that noise.",
    name="noise-at-the-end",
)
def _(eps, xt, t, z, betas, var):
    abar = torch.prod(1 - betas[: t + 1])
    return (xt - betas[t] / (1 - abar).sqrt() * eps) / (1 - betas[t]).sqrt() + var**0.5 * z


p_step.mistake(
    "variance-for-deviation",
    "You multiplied z by the variance; multiply by its square root, because noise of size s has variance s².",
    replace="var**0.5",
    by="var",
)


@p_step.misconception(
    "You scaled eps by the root of one beta; scale it by beta / sqrt(1 - abar), because eps is *all* the noise in xt, "
    "not just the noise of one step.",
    name="one-step-noise",
)
def _(eps, xt, t, z, betas, var):
    mean = (xt - betas[t].sqrt() * eps) / (1 - betas[t]).sqrt()
    return mean + var**0.5 * z if t > 0 else mean


p_step.mistake(
    "no-root-of-noise",
    "You divided by 1 - abar; divide by its square root, because that is the size of the noise.",
    replace="(1 - abar).sqrt()",
    by="(1 - abar)",
)


@p_step.misconception(
    "You left out the noise; add sqrt(var) z while t > 0, because the mean by itself pulls all samples together and "
    "their variance comes out too small.",
    name="no-noise",
)
def _(eps, xt, t, z, betas, var):
    abar = torch.prod(1 - betas[: t + 1])
    return (xt - betas[t] / (1 - abar).sqrt() * eps) / (1 - betas[t]).sqrt()


@p_step.also_correct
def _(eps, xt, t, z, betas, var):
    alpha = 1 - float(betas[t])
    now, before = math.prod((1 - betas[: t + 1]).tolist()), math.prod((1 - betas[:t]).tolist())
    x0hat = (xt - (1 - now) ** 0.5 * eps) / now**0.5
    mean = (before**0.5 * (1 - alpha) * x0hat + alpha**0.5 * (1 - before) * xt) / (1 - now)
    return mean + (t > 0) * math.sqrt(float(var)) * z
