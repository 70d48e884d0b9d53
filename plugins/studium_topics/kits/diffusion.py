"""What every diffusion needs beside the exercises: the linear noise schedule, and time as a network reads it."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def linear_betas(timesteps: int) -> Tensor:
    """betas (T,) float64, t = 0..T-1: 0.0001 to 0.02, times 1000 / T, at most 0.999 (Ho et al. 2020)."""
    return torch.linspace(0.1, 20, timesteps, dtype=torch.float64).div(timesteps).clamp(max=0.999)


def timestep_embedding(t: Tensor, width: int, period: float = 10000.0) -> Tensor:
    """Write the timesteps t (B,) as sines and cosines (B, width), width even and at least 4.

    The first half holds sines, the second cosines; frequencies fall geometrically from 1 to 1 / period. This is DDPM's
    own convention; Stable Diffusion's puts the cosines first and stops just above 1 / period.
    """
    half = width // 2
    frequency = torch.exp(-math.log(period) * torch.arange(half, device=t.device) / (half - 1))  # (half,)
    angle = t.float().unsqueeze(-1) * frequency  # (B, half)
    return torch.cat([angle.sin(), angle.cos()], -1)
