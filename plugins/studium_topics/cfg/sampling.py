"""Noise schedules and the steps of DDPM and DDIM, as the topic on denoising diffusion has them.

t = 0..T-1, abar_t the share of signal in x_t = sqrt(abar_t) x0 + sqrt(1 - abar_t) eps, abar_{-1} = 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from studium_topics.kits.diffusion import linear_betas

Step = Callable[[Tensor, Tensor, int], Tensor]


def linear_abar(timesteps: int) -> Tensor:
    """Return abar (T,) of betas that rise from 1e-4 to 0.02, times 1000 / T (Ho et al. 2020); float64."""
    return torch.cumprod(1 - linear_betas(timesteps), 0)


def cosine_abar(timesteps: int) -> Tensor:
    """Return abar (T,) that falls as a squared cosine (Nichol and Dhariwal 2021), no beta above 0.999; float64."""
    u = torch.linspace(0, 1, timesteps + 1, dtype=torch.float64)
    level = ((u + 0.008) / 1.008 * math.pi / 2).cos() ** 2  # (T + 1,)
    return torch.cumprod((level[1:] / level[:-1]).clamp(min=0.001), 0)


def move(eps: Tensor, x: Tensor, t: int, abar: Tensor, eta: float, z: Tensor | None = None) -> Tensor:
    """Return x_{t-1} (B, *) from x_t and eps (B, *): DDIM for eta 0, DDPM with the posterior's variance for eta 1.

    z (B, *): standard normal noise, not needed for eta 0.
    """
    now, before = abar[t], abar[t - 1] if t else torch.ones_like(abar[0])
    x0 = (x - (1 - now).sqrt() * eps) / now.sqrt()
    variance = eta**2 * (1 - before) / (1 - now) * (1 - now / before)
    moved = before.sqrt() * x0 + (1 - before - variance).sqrt() * eps
    return moved if z is None else moved + variance.sqrt() * z


def stepper(abar: Tensor, eta: float, generator: torch.Generator) -> Step:
    """Return `step(eps, x, t)`, from x_t to x_{t-1}, with fresh noise from the CPU `generator` where eta is not 0."""

    def step(eps: Tensor, x: Tensor, t: int) -> Tensor:
        z = torch.randn(x.shape, dtype=x.dtype, generator=generator).to(x.device) if eta else None
        return move(eps, x, t, abar, eta, z)

    return step
