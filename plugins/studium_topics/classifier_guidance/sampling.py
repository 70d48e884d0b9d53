"""The DDPM step of the lesson before, as tables."""

from __future__ import annotations

import torch
from torch import Tensor


class Ddpm:
    """The DDPM sampler's step, x_{t-1} = mean + sqrt(variance) z, with the posterior's variance.

    betas, abar and variances are (T,) float64, t = 0..T-1 an int; the variance at t = 0 is 0. Source: Ho et al. 2020,
    arXiv 2006.11239, algorithm 2.
    """

    def __init__(self, betas: Tensor) -> None:
        alphas = 1 - betas
        self.betas, self.abar = betas, alphas.cumprod(0)
        left = 1 - torch.cat([torch.ones_like(alphas[:1]), self.abar[:-1]])  # the noise one step earlier
        self.variances = betas * left / (1 - self.abar)
        self._grow = alphas.rsqrt()
        self._remove = betas * alphas.rsqrt() * (1 - self.abar).rsqrt()

    def mean(self, eps: Tensor, x: Tensor, t: int) -> Tensor:
        """Return the mean of x_{t-1} for the noise eps (B, *) predicted in x (B, *)."""
        return self._grow[t] * x - self._remove[t] * eps

    def step(self, eps: Tensor, x: Tensor, t: int, z: Tensor) -> Tensor:
        """Return x_{t-1} for x_t and the noise eps predicted in it, with z (B, *) as fresh noise."""
        return self.mean(eps, x, t) + self.variances[t].sqrt() * z
