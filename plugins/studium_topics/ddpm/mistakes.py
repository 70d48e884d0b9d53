"""Wrong samplers, each made out of a right step: what is slipped into it is the only difference.

Each function has the arguments of a DDPM step after the right step itself, and returns the batch that the slip makes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

Step = Callable[..., Tensor]


def noise_after_the_last(right: Step, eps: Tensor, xt: Tensor, t: int, z: Tensor, betas: Tensor, var: Tensor) -> Tensor:
    """Add noise in the last step too, with variance betas[0]."""
    moved = right(eps, xt, t, z, betas, var)
    return moved + betas[0].sqrt() * z if t == 0 else moved


def variance_for_deviation(
    right: Step, eps: Tensor, xt: Tensor, t: int, z: Tensor, betas: Tensor, var: Tensor
) -> Tensor:
    """Multiply z by the variance instead of its root."""
    return right(eps, xt, t, z, betas, var**2)


def no_noise(right: Step, eps: Tensor, xt: Tensor, t: int, z: Tensor, betas: Tensor, var: Tensor) -> Tensor:
    """Leave the noise out: the mean alone in every step."""
    return right(eps, xt, t, torch.zeros_like(z), betas, var)


def one_step_noise(right: Step, eps: Tensor, xt: Tensor, t: int, z: Tensor, betas: Tensor, var: Tensor) -> Tensor:
    """Divide the predicted noise by the size of one step's noise, sqrt(1 - alpha), instead of all of it."""
    too_much = ((1 - _signal(betas, t)) / betas[t]).sqrt()
    return right(too_much * eps, xt, t, z, betas, var)


def row_before(right: Step, eps: Tensor, xt: Tensor, t: int, z: Tensor, betas: Tensor, var: Tensor) -> Tensor:
    """Read the tables one row too early, from t = 2 on."""
    return right(eps, xt, t - 1 if t > 1 else t, z, betas, var)


def root_of_abar(right: Step, eps: Tensor, xt: Tensor, t: int, z: Tensor, betas: Tensor, var: Tensor) -> Tensor:
    """Divide the mean by sqrt(abar), the shrinking of all steps so far, instead of sqrt(alpha)."""
    mean = right(eps, xt, t, 0 * z, betas, var)
    return mean * ((1 - betas[t]) / _signal(betas, t)).sqrt() + var**0.5 * z


def _signal(betas: Tensor, t: int) -> Tensor:
    return torch.prod(1 - betas[: t + 1])


MISTAKES = {
    "noise after the last step": noise_after_the_last,
    "σ² for σ": variance_for_deviation,
    "noise left out": no_noise,
    "√(1−α) for √(1−ᾱ)": one_step_noise,
    "table off by one row": row_before,
    "÷ √ᾱ for ÷ √α": root_of_abar,
}


def samplers(right: Step) -> dict[str, Step]:
    """Return the right step and each wrong one made out of it, by name."""
    return {"none": right} | {name: partial(mistake, right) for name, mistake in MISTAKES.items()}
