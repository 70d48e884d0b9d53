import math

import torch
from studium import assert_close, exercise
from torch import Tensor


@exercise(
    points=3,
    minutes=8,
    hints=(
        "The ends of the interval are noise levels. How large is the noise in x_t, compared with the signal?",
        "Outside the interval the model is conditional. Which scale is that?",
        "One comparison with each end gives (T,) truth values; the lower end is outside, the upper end inside.",
        "`torch.where((low < sigma) & (sigma <= high), s, 1.0).tolist()`.",
    ),
    level="core",
    importance=1,
)
def interval_scales(s: float, abar: Tensor, low: float, high: float) -> list[float]:
    """Return the scales of a sampler that guides only at noise levels σ with low < σ <= high.

    * abar: (T,) float64; σ is the size of the noise divided by the size of the signal
    * returns: a list of T numbers for t = 0..T-1, s inside the interval; elsewhere the model is simply conditional
    """
    ### BEGIN SOLUTION
    sigma = ((1 - abar) / abar).sqrt()  # (T,)
    inside = (low < sigma) & (sigma <= high)
    return torch.where(inside, s, 1.0).tolist()
    ### END SOLUTION


@interval_scales.test("guides in the middle of six levels", points=1)
def _(interval_scales):
    abar = torch.tensor([0.99, 0.8, 0.5, 0.3, 0.1, 0.02], dtype=torch.float64)  # σ 0.10, 0.5, 1, 1.5, 3, 7
    got = interval_scales(4.0, abar, 0.7, 2.0)
    assert_close(got, [1.0, 1.0, 4.0, 4.0, 1.0, 1.0], message="noise levels 0.1, 0.5, 1, 1.5, 3, 7; low 0.7, high 2")


@interval_scales.hidden("takes the ends as the statement says, and guides everywhere from 0 to inf", points=2)
def _(interval_scales):
    levels = [0.99, 0.8, 0.5, 0.28, 0.09, 0.03]  # σ 0.10, 0.5, 1, 1.6, 3.2, 5.7
    abar = torch.tensor(levels, dtype=torch.float64)
    cases = {
        (1.0, 4.0): [1.0, 1.0, 1.0, 2.5, 2.5, 1.0],  # σ = 1 itself is outside at the lower end
        (0.3, 1.0): [1.0, 2.5, 2.5, 1.0, 1.0, 1.0],  # and inside at the upper end
        (0.0, 0.3): [2.5, 1.0, 1.0, 1.0, 1.0, 1.0],
        (2.0, math.inf): [1.0, 1.0, 1.0, 1.0, 2.5, 2.5],
        (0.0, math.inf): [2.5] * 6,
        (20.0, 30.0): [1.0] * 6,
    }
    for (low, high), expected in cases.items():
        got = interval_scales(2.5, abar, low, high)
        assert isinstance(got, list), f"a list is expected, got {type(got).__name__}"
        assert_close(got, expected, message=f"low {low}, high {high}, s = 2.5")


@interval_scales.misconception(
    "You compared t with the interval; compare the noise level σ, because an interval of noise levels means the same "
    "for every schedule and every number of steps.",
    name="compares-t",
)
def _(s, abar, low, high):
    return [s if low < t <= high else 1.0 for t in range(len(abar))]


@interval_scales.misconception(
    "You compared sqrt(1 - abar); that is the size of the noise in x_t, where the signal has shrunk too: divide by the "
    "size of the signal, sqrt(abar).",
    name="signal-not-divided",
)
def _(s, abar, low, high):
    return [s if low < sigma <= high else 1.0 for sigma in (1 - abar).sqrt().tolist()]


@interval_scales.misconception(
    "You compared variances, (1 - abar) / abar; the noise level is a ratio of sizes, so take the square root.",
    name="no-root",
)
def _(s, abar, low, high):
    return [s if low < sigma <= high else 1.0 for sigma in ((1 - abar) / abar).tolist()]


@interval_scales.misconception(
    "You returned the scale 0 outside the interval, which ignores the label; return 1, because the model is "
    "conditional there.",
    name="unconditional-outside",
)
def _(s, abar, low, high):
    return [s if low < sigma <= high else 0.0 for sigma in ((1 - abar) / abar).sqrt().tolist()]


@interval_scales.misconception(
    "You guided outside the interval; the scale is s inside it and 1 elsewhere.", name="guides-outside"
)
def _(s, abar, low, high):
    return [1.0 if low < sigma <= high else s for sigma in ((1 - abar) / abar).sqrt().tolist()]


@interval_scales.also_correct
def _(s, abar, low, high):
    scales = []
    for share in abar.tolist():
        sigma = math.sqrt((1 - share) / share)
        scales.append(s if low < sigma and not sigma > high else 1)
    return scales
