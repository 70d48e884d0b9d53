"""Sine-cosine features, against which positive ones are measured, and the shares of attention that both give."""

from __future__ import annotations

import torch
from torch import Tensor


def sine_cosine(x: Tensor, w: Tensor, keys: bool) -> Tensor:
    """Return sine-cosine features of x (..., n, d) with w (m, d), as (..., n, 2 m); their products may be negative.

    exp(q · k) = exp(|q|²/2) exp(-|q - k|²/2) exp(|k|²/2), and the middle factor is the mean of cos(w · (q - k)) (Rahimi
    and Recht 2007). A query's own factor cancels in attention and is left out; those of the keys are divided by the
    largest one of the head, so that none overflows.
    """
    angle = x @ w.mT
    waves = torch.cat([angle.cos(), angle.sin()], -1)
    if not keys:
        return waves
    size = x.square().sum(-1, keepdim=True) / 2
    return waves * torch.exp(size - size.amax(-2, keepdim=True))


def shares(qf: Tensor, kf: Tensor) -> Tensor:
    """Return the attention (n, s) that features qf (n, m) and kf (s, m) stand for, as one table."""
    weights = qf @ kf.mT
    return weights / weights.sum(-1, keepdim=True)
