"""What is known of scores and of Langevin dynamics without a single sample."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from studium import Profile
from torch import Tensor

from studium_topics.kits.training import one_thread

Function = Callable[..., Tensor]
LIGHT = 0.2  # weight of the mode at (-5, -5); the other one is at (5, 5)
APART = 10 * math.sqrt(2)  # their distance


@dataclass(frozen=True)
class Sight:
    """By noise level: how much of the score changes when the two modes exchange weights, and the height of the barrier.

    change: root mean square of the change under the density, over that of the score. height: how far log p falls on the
    way from the top of the light mode to the heavy one, in nats; 0 where there is no barrier.
    """

    change: dict[float, float]
    height: dict[float, float]


@one_thread()
def sight(gmm_score: Function, *, profile: Profile, seed: int = 0) -> Sight:
    """Measure how much the exact score of two noisy points, of weights 0.2 and 0.8, depends on the weights.

    Only the axis through both points matters, so a sum over a fine grid on it replaces the integral. `seed` changes
    nothing.
    """
    del seed
    cells = profile.choose(smoke=4001, laptop=20001, gpu=20001)
    change, height = {}, {}
    for sigma in (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 14.0, 20.0):
        half = APART / 2 + 8 * sigma
        place = torch.linspace(-half, half, cells, dtype=torch.float64)
        as_is, exchanged = (_on_the_axis(gmm_score, place, sigma, light) for light in (LIGHT, 1 - LIGHT))
        density = _density(place, sigma)
        change[sigma] = math.sqrt((density * (exchanged - as_is) ** 2).sum() / (density * as_is**2).sum())
        height[sigma] = _height(place, as_is)
    return Sight(change, height)


def settled(sigma: float) -> float:
    """Return the share of p_sigma that is nearer to the heavy point: 0.8 for small sigma, towards 0.5 for large."""
    right = 0.5 * (1 + math.erf(APART / 2 / sigma / math.sqrt(2)))
    return (1 - LIGHT) * right + LIGHT * (1 - right)


def _on_the_axis(gmm_score: Function, place: Tensor, sigma: float, light: float) -> Tensor:
    """Return the score (n,) at places (n,) on a line, for two points APART, the left one with the weight `light`."""
    means = torch.tensor([[-APART / 2], [APART / 2]], dtype=torch.float64)
    weights = torch.tensor([light, 1 - light], dtype=torch.float64)
    level = torch.full_like(place, sigma)
    return gmm_score(place.unsqueeze(-1), level, means, torch.zeros_like(weights), weights)[:, 0]


def _density(place: Tensor, sigma: float) -> Tensor:
    bell = [torch.exp(-((place - centre) ** 2) / (2 * sigma**2)) for centre in (-APART / 2, APART / 2)]
    return LIGHT * bell[0] + (1 - LIGHT) * bell[1]


def _height(place: Tensor, score: Tensor) -> float:
    """Return how far log p, the integral of the score, falls at most on the way from the left to its highest point."""
    climbed = torch.cumulative_trapezoid(score, place)
    climbed = climbed[: int(climbed.argmax()) + 1]
    return float((climbed.cummax(0).values - climbed).max())


@dataclass(frozen=True)
class Stationary:
    """By step size: the variance at which walkers on N(0, 1) settle, as measured on the steps and as derived.

    Both are infinite where the walkers do not settle.
    """

    measured: dict[float, float]
    derived: dict[float, float]

    @property
    def deviation(self) -> float:
        """Return the largest relative difference; where both are infinite there is none."""
        pairs = [(self.measured[a], self.derived[a]) for a in self.measured]
        return max(0.0 if found == told else abs(found / told - 1) for found, told in pairs)


@one_thread()
def stationary(
    langevin: Function, settled_variance: Callable[[float, float], float], *, profile: Profile, seed: int = 0
) -> Stationary:
    """Compare the variance at which Langevin dynamics on N(0, 1) settles with the derived one.

    A step is linear there: x becomes b x + c z. Both numbers are read off one step, b from x = 1 with z = 0 and c from
    x = 0 with z = 1. `seed` and `profile` change nothing.
    """
    del seed, profile
    measured, derived = {}, {}
    for a in (0.01, 0.1, 0.5, 1.0, 2.0, 3.6, 4.4):
        unit = torch.eye(2, dtype=torch.float64)[:, :1]  # x is 1 in the first row, 0 in the second
        kept, added = langevin(lambda x: -x, unit, a, unit.flip(0).unsqueeze(0))[:, 0].square().tolist()
        measured[a] = added / (1 - kept) if kept < 1 else math.inf
        derived[a] = float(settled_variance(a, 1.0))
    return Stationary(measured, derived)
