from collections.abc import Callable

import torch
from studium import assert_close, exercise
from torch import Tensor

from studium_topics.cfg.exercises.cfg_eps import cfg_eps


@exercise(
    points=4,
    minutes=10,
    hints=(
        "In which order does a sampler visit the noise levels, and what does it need at each level?",
        "Each pass computes the guided noise of the current batch and lets `step` replace the batch.",
        "The model wants t as a tensor (B,), `step` wants it as an int; `scales` has one number for each t.",
        "`torch.full_like(y, t)`, `cfg_eps(model, x, times, y, null, scales[t])` and `step(eps, x, t)`.",
    ),
    level="core",
    importance=3,
)
def cfg_sample(
    model: Callable[[Tensor, Tensor, Tensor], Tensor],
    step: Callable[[Tensor, Tensor, int], Tensor],
    x: Tensor,
    y: Tensor,
    null: int,
    scales: list[float],
) -> Tensor:
    """Return the samples that guidance makes from the noise x, in steps t = T-1, T-2, ..., 0.

    * model(x, t, y), y, null: as in `cfg_eps`
    * step(eps, x, t): takes the batch from x_t to x_{t-1}; t is an int
    * x: (B, *), the noise at t = T-1
    * scales: T numbers; `scales[t]` is the scale s at t
    * returns: (B, *), the result of the last step

    x stays as it is. You may call `cfg_eps`.
    """
    ### BEGIN SOLUTION
    for t in reversed(range(len(scales))):
        times = torch.full_like(y, t)
        eps = cfg_eps(model, x, times, y, null, scales[t])
        x = step(eps, x, t)
    return x
    ### END SOLUTION


@cfg_sample.test("guides all steps of a sampler that has three", points=1)
def _(cfg_sample):
    def model(x, t, y):
        return (t + 10 * y).view(-1, 1).to(x.dtype)  # null is 0: guidance stretches 10 y by s

    def step(eps, x, t):
        return 2 * x + eps

    x, y = torch.tensor([[1.0], [0.0]]), torch.tensor([1, 2])
    got = cfg_sample(model, step, x, y, 0, [3.0, 3.0, 3.0])
    expected = torch.tensor([[228.0], [430.0]])  # 1 → 34 → 99 → 228 and 0 → 62 → 185 → 430
    assert_close(got, expected, message="x becomes 2 x + eps, where eps is t + 30 in row 0 and t + 60 in row 1")


@cfg_sample.hidden("visits every t from T - 1 to 0 once, with the label and the x of each row", points=1)
def _(cfg_sample, rng):
    x, y = torch.randn(3, 2, generator=rng, dtype=torch.float64), torch.tensor([2, 0, 1])
    times, kept = [], x.clone()

    def model(x, t, y):
        return torch.sin(x) * (1 + y.view(-1, 1)) + t.view(-1, 1)

    def step(eps, x, t):
        times.append(t)
        return x + 0.1 * eps

    got = cfg_sample(model, step, x, y, 3, [2.0] * 5)
    assert_close(x, kept, message="the noise to start from, after the call")
    assert times == [4, 3, 2, 1, 0], f"steps at t = [4, 3, 2, 1, 0] are expected for T = 5, got {times}"
    assert all(type(t) is int for t in times), f"step wants t as an int, got {type(times[0]).__name__}"
    expected = kept.clone()
    for t in (4, 3, 2, 1, 0):
        level = torch.full((3,), t)
        eps_c, eps_u = model(expected, level, y), model(expected, level, torch.full_like(y, 3))
        expected = expected + 0.1 * (2 * eps_c - eps_u)
    assert_close(got, expected, rtol=1e-5, atol=1e-5, message="s = 2, five steps")


@cfg_sample.hidden("takes the scale of each t", points=1)
def _(cfg_sample, rng):
    scales = [2.0, 0.5, 1.0, 4.0, 1.0, -1.0]

    def model(x, t, y):
        return x * (2 + y.view(-1, 1)) + 0.1 * t.view(-1, 1)  # labels 1 and 3, null 0

    def step(eps, x, t):
        return 0.3 * x + 0.2 * eps

    x, y = torch.randn(2, 3, generator=rng, dtype=torch.float64), torch.tensor([1, 3])
    expected = x.clone()
    for t in (5, 4, 3, 2, 1, 0):
        expected = 0.3 * expected + 0.2 * (expected * (2 + scales[t] * y.view(-1, 1)) + 0.1 * t)
    got = cfg_sample(model, step, x, y, 0, scales)
    assert_close(got, expected, rtol=1e-5, atol=1e-6, message=f"scales {scales}")


@cfg_sample.hidden("narrows Gaussian data by exactly the factor that theory gives", points=1)
def _(cfg_sample):
    # Data N(0, 2), given the label N(0, 1): each eps is a multiple of x, so DDIM multiplies x by a known number.
    T, s = 12, 3.0
    betas = torch.linspace(0.01, 0.9, T, dtype=torch.float64)
    abar = torch.cumprod(1 - betas, 0)
    earlier = abar / (1 - betas)

    def model(x, t, y):
        share = abar[t].view(-1, 1)
        return x * (1 - share) ** 0.5 / (1 + share * (y != 1).view(-1, 1))  # the variances are 1 and 1 + abar

    def step(eps, x, t):
        x0 = (x - (1 - abar[t]) ** 0.5 * eps) / abar[t] ** 0.5
        return earlier[t] ** 0.5 * x0 + (1 - earlier[t]).clamp(min=0) ** 0.5 * eps

    x, y = torch.tensor([[1.0, -2.0], [30.0, 0.5]], dtype=torch.float64), torch.tensor([1, 1])
    factor = 1.0
    for now, before in zip(abar.flip(0).tolist(), earlier.flip(0).tolist(), strict=True):
        slope = (1 - now) ** 0.5 * (s + (1 - s) / (1 + now))
        factor *= (before / now) ** 0.5 * (1 - (1 - now) ** 0.5 * slope) + max(0.0, 1 - before) ** 0.5 * slope
    got = cfg_sample(model, step, x, y, 0, [s] * T)
    assert_close(got, factor * x, rtol=1e-4, atol=1e-5, message=f"every x is multiplied by {factor:.4f}")


@cfg_sample.misconception(
    "You left out t = 0; the batch that arrives there still contains the noise of one step, so the loop has to include "
    "t = 0.",
    name="leaves-out-0",
)
def _(model, step, x, y, null, scales):
    for t in reversed(range(1, len(scales))):
        x = step(cfg_eps(model, x, torch.full_like(y, t), y, null, scales[t]), x, t)
    return x


@cfg_sample.misconception(
    "You went upwards in t; a sampler starts at the noise, t = T - 1, and ends at t = 0.", name="upwards"
)
def _(model, step, x, y, null, scales):
    for t in range(len(scales)):
        x = step(cfg_eps(model, x, torch.full_like(y, t), y, null, scales[t]), x, t)
    return x


@cfg_sample.misconception(
    "You went through `scales` from its front while t fell from T - 1; the scale at t is `scales[t]`, so the first "
    "step uses the last entry.",
    name="scales-reversed",
)
def _(model, step, x, y, null, scales):
    for t, scale in zip(reversed(range(len(scales))), scales, strict=True):
        x = step(cfg_eps(model, x, torch.full_like(y, t), y, null, scale), x, t)
    return x


@cfg_sample.misconception(
    "You used one scale for all steps; use `scales[t]` at each t, because guidance may be strong at some noise levels "
    "and absent at others.",
    name="one-scale",
)
def _(model, step, x, y, null, scales):
    for t in reversed(range(len(scales))):
        x = step(cfg_eps(model, x, torch.full_like(y, t), y, null, scales[0]), x, t)
    return x


@cfg_sample.misconception(
    "You gave every row the label of the first row; y has a label for each row, and they may differ.", name="one-label"
)
def _(model, step, x, y, null, scales):
    for t in reversed(range(len(scales))):
        x = step(cfg_eps(model, x, torch.full_like(y, t), y[:1].expand(len(x)), null, scales[t]), x, t)
    return x


@cfg_sample.misconception(
    "You clamped x_t; most of it is noise and is supposed to leave [-1, 1]. Only the guess of the clean batch may be "
    "clamped, and `step` does that.",
    name="clamps-xt",
)
def _(model, step, x, y, null, scales):
    for t in reversed(range(len(scales))):
        x = step(cfg_eps(model, x, torch.full_like(y, t), y, null, scales[t]), x, t).clamp(-1, 1)
    return x


@cfg_sample.misconception(
    "You gave the model the initial noise in every step; give it the current batch, because each step has removed some "
    "of that noise.",
    name="asks-about-the-start",
)
def _(model, step, x, y, null, scales):
    start = x
    for t in reversed(range(len(scales))):
        x = step(cfg_eps(model, start, torch.full_like(y, t), y, null, scales[t]), x, t)
    return x


@cfg_sample.also_correct
def _(model, step, x, y, null, scales):
    for t in range(len(scales) - 1, -1, -1):
        times = torch.ones_like(y) * t
        eps = model(x, times, y)
        if scales[t] != 1:
            eps_u = model(x, times, torch.zeros_like(y) + null)
            eps = eps + (scales[t] - 1) * (eps - eps_u)
        x = step(eps, x, t)
    return x
