"""What can be known of scores and of Langevin dynamics without a single sample."""

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
    """By noise level: how much of the score changes when the two modes exchange weights, and the height of the pass.

    change: root mean square of the change under the density, over that of the score. height: how far log p falls on the
    way from the top of the light mode to the heavy one, in nats; 0 where nothing lies between.
    """

    change: dict[float, float]
    height: dict[float, float]


@one_thread()
def sight(gmm_score: Function, *, profile: Profile, seed: int = 0) -> Sight:
    """Ask the exact score of two noisy points, of weights 0.2 and 0.8, what it knows of the weights.

    Only the axis through both points matters, so that sums over a fine grid on it are exact. `seed` changes nothing.
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
    """The share of two points, noisy by sigma, that is nearer to the heavy one: 0.8 for small sigma, 0.5 for huge."""
    right = 0.5 * (1 + math.erf(APART / 2 / sigma / math.sqrt(2)))
    return (1 - LIGHT) * right + LIGHT * (1 - right)


def _on_the_axis(gmm_score: Function, place: Tensor, sigma: float, light: float) -> Tensor:
    """The score (n,) at places (n,) on a line, for two points APART, the left one with the weight `light`."""
    means = torch.tensor([[-APART / 2], [APART / 2]], dtype=torch.float64)
    weights = torch.tensor([light, 1 - light], dtype=torch.float64)
    level = torch.full_like(place, sigma)
    return gmm_score(place.unsqueeze(-1), level, means, torch.zeros_like(weights), weights)[:, 0]


def _density(place: Tensor, sigma: float) -> Tensor:
    bell = [torch.exp(-((place - centre) ** 2) / (2 * sigma**2)) for centre in (-APART / 2, APART / 2)]
    return LIGHT * bell[0] + (1 - LIGHT) * bell[1]


def _height(place: Tensor, score: Tensor) -> float:
    """How far log p, the integral of the score, falls at most on the way from the left to its highest point."""
    climbed = torch.cumulative_trapezoid(score, place)
    climbed = climbed[: int(climbed.argmax()) + 1]
    return float((climbed.cummax(0).values - climbed).max())


@dataclass(frozen=True)
class Stationary:
    """By step size: the variance that Langevin dynamics on N(0, 1) settles at; infinite where it does not settle."""

    variance: dict[float, float]

    @property
    def deviation(self) -> float:
        """The largest relative distance from theory, 1 / (1 - a/4) for steps a below 4."""
        return max(abs(found * (1 - a / 4) - 1) for a, found in self.variance.items() if a < 4)


@one_thread()
def stationary(langevin: Function, *, profile: Profile, seed: int = 0) -> Stationary:
    """Follow the variance of Langevin dynamics on N(0, 1), where a step is linear: x becomes b x + c z.

    b and c are read off one step from x = 1 with z = 0, and from 0 with z = 1. `seed` and `profile` change nothing.
    """
    del seed, profile
    variance = {}
    for a in (0.01, 0.1, 0.5, 1.0, 2.0, 3.6, 4.4):
        unit = torch.eye(2, dtype=torch.float64)[:, :1]  # x is 1 in the first row, 0 in the second
        kept, added = langevin(lambda x: -x, unit, a, unit.flip(0).unsqueeze(0))[:, 0].square().tolist()
        variance[a] = added / (1 - kept) if kept < 1 else math.inf
    return Stationary(variance)
