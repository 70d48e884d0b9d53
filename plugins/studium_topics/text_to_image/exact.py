"""What is exact and needs no training: DDIM as Euler's method on the straight path, and the bias of FID."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from studium import Profile
from torch import Tensor

from studium_topics.kits.digits import split

Block = Callable[..., Any]

LEVELS = 1000  # with the noise schedule of Stable Diffusion
ABAR = torch.cumprod(1 - torch.linspace(0.00085**0.5, 0.012**0.5, LEVELS, dtype=torch.float64) ** 2, 0)
COUNTS = (70, 100, 200, 400, 800, 1600, 3200)
STEPS, SPACINGS = (2, 4, 8, 16), ("straight", "DDIM")


@dataclass(frozen=True)
class Bias:
    """FIDs, by number of samples, of a perfect generator and of one with 0.9 of the spread; and their limits."""

    perfect: dict[int, float]
    narrow: dict[int, float]
    perfect_limit: float
    narrow_limit: float

    @property
    def constancy(self) -> float:
        """How far N · FID of the perfect generator is from its mean over N, at most, as a share."""
        products = [count * fid for count, fid in self.perfect.items()]
        mean = sum(products) / len(products)
        return max(abs(product / mean - 1) for product in products)

    @property
    def flipped(self) -> float:
        """FID of the perfect generator at N = 100 over that of the narrow one at the largest N."""
        return self.perfect[100] / self.narrow[COUNTS[-1]]


def bias(frechet: Block, fid_inf: Block, *, profile: Profile, seed: int = 0) -> Bias:
    """Compare two samples of one Gaussian, fitted to the 64 pixels of digits, and a sample with 0.9 of the spread."""
    generator = torch.Generator().manual_seed(seed)
    pixels = split()[0].images.flatten(1).double()
    mean, cov = pixels.mean(0), torch.cov(pixels.T)
    values, vectors = torch.linalg.eigh(cov)
    root = vectors * values.clamp(min=0).sqrt()

    def moments(count: int, spread: float = 1.0) -> tuple[Tensor, Tensor]:
        rows = mean + spread * torch.randn(count, 64, generator=generator, dtype=torch.float64) @ root.T
        return rows.mean(0), torch.cov(rows.T)

    found = {spread: {n: float(frechet(*moments(n), *moments(n, spread))) for n in COUNTS} for spread in (1.0, 0.9)}
    limits = [float(fid_inf(list(COUNTS), list(fids.values()))) for fids in found.values()]
    return Bias(found[1.0], found[0.9], *limits)


def straight(as_flow: Block, *, profile: Profile, seed: int = 0) -> float:
    """Return the largest difference of DDIM's samples and Euler's on the straight path, same noise, same predictions.

    The noise is predicted exactly, for a Gaussian around 2 with a standard deviation of 0.5, in float64.
    """
    start = torch.randn(64, 8, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)

    def noise_in(x: Tensor, abar: float) -> Tensor:
        return (1 - abar) ** 0.5 * (x - 2 * abar**0.5) / (0.25 * abar + 1 - abar)

    worst = 0.0
    for steps in STEPS:
        levels = [*ABAR[ddim_levels(steps)].tolist(), 1.0]
        x, point = start, as_flow(start, start, levels[0])[0]
        for abar, cleaner in itertools.pairwise(levels):
            kept = (cleaner / abar) ** 0.5
            x = kept * x + ((1 - cleaner) ** 0.5 - kept * (1 - abar) ** 0.5) * noise_in(x, abar)
            noisy = point / shrinks(as_flow, abar)
            _, now, v = as_flow(noisy, noise_in(noisy, abar), abar)
            point = point + (time_of(as_flow, cleaner) - now) * v
        worst = max(worst, float((x - point).abs().max()))
    return worst


def time_of(as_flow: Block, abar: float) -> float:
    """Return the time on the straight path at which the learner's as_flow puts this level of noise."""
    return float(as_flow(torch.ones(1), torch.ones(1), abar)[1])


def shrinks(as_flow: Block, abar: float) -> float:
    """Return by what as_flow multiplies DDPM's noisy images at this level of noise."""
    one = torch.ones(1, dtype=torch.float64)
    return float(as_flow(one, one, abar)[0])


def ddim_levels(steps: int) -> list[int]:
    """Return `steps` timesteps from LEVELS - 1 down, evenly spaced ("trailing" in diffusers)."""
    return [round(LEVELS * (steps - step) / steps) - 1 for step in range(steps)]


def evenly(steps: int) -> list[float]:
    """Return steps + 1 times from 1 to 0 with equal distances."""
    return [1 - step / steps for step in range(steps + 1)]


def times(spacing: str, steps: int, as_flow: Block) -> list[float]:
    """Return steps + 1 times that fall to 0: evenly spaced from 1, or where DDIM's evenly spaced timesteps are."""
    if spacing == "straight":
        return evenly(steps)
    return [*(time_of(as_flow, abar) for abar in ABAR[ddim_levels(steps)].tolist()), 0.0]
