"""What guidance samples, with no training and no error of a network.

`three_variances`: one Gaussian inside a wider one. The guided eps is a multiple of x, so the variance of the samples
follows from the sampler's own steps with no sample drawn, and has a closed form in the limit of many steps.
`three_answers`: eight modes in four classes, exact eps, thousands of samples beside the exact tilted density.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from studium import Profile
from torch import Tensor

from studium_topics.cfg.sampling import linear_abar, move, stepper
from studium_topics.kits.mixture import Mixture, energy_distance, ring
from studium_topics.kits.training import one_thread

Block = Callable[..., Tensor]
SOLVERS = {"DDPM": 1.0, "DDIM": 0.0}  # eta of each
T = 200  # steps on the ring
PARTS = {  # of these steps, the noisiest first
    "no steps": range(0),
    "first 30 %": range(140, T),
    "middle 40 %": range(60, 140),
    "last 30 %": range(60),
    "all steps": range(T),
}


@dataclass(frozen=True)
class Variances:
    """The variance of the samples at each of `scales`, by what should be sampled or by the solver.

    `theory` has "tilted", "DDPM" and "DDIM", the latter two in the limit of infinitely many steps; `found` the two that
    the sampler gives.
    """

    scales: tuple[float, ...]
    theory: dict[str, list[float]]
    found: dict[str, list[float]]

    @property
    def deviation(self) -> float:
        """Return the largest relative difference between a solver and its limit."""
        pairs = ((f, t) for name in SOLVERS for f, t in zip(self.found[name], self.theory[name], strict=True))
        return max(abs(f / t - 1) for f, t in pairs)

    def narrowing(self, solver: str) -> float:
        """Return how many times narrower than the tilted density the samples are at the largest scale, in variance."""
        return self.theory["tilted"][-1] / self.found[solver][-1]


@one_thread()
def three_variances(
    cfg_sample: Block, final_variances: Callable[[float, float, float], tuple[float, float]], *,
    profile: Profile, seed: int = 0,
) -> Variances:  # fmt: skip
    """Follow the variance of guided samples of a Gaussian through both samplers, T = 1000: exact, with no samples.

    Data N(0, 2), given the label N(0, 1). A step that writes down eps and leaves x = 1 where it is shows by which
    factor eps_t is proportional to x. `seed` changes nothing. At s = 5 and "laptop": tilted .3333, DDPM .2174,
    DDIM .0619; 2 s.
    """
    del seed
    scales, abar = (1.0, 1.5, 2.0, 3.0, 5.0), linear_abar(profile.choose(smoke=300, laptop=1000, gpu=1000))
    ends = [final_variances(s, 2.0, 1.0) for s in scales]
    theory = {"tilted": [1 / (s + (1 - s) / 2) for s in scales]}
    theory |= {name: [float(pair[i]) for pair in ends] for i, name in enumerate(SOLVERS)}
    slopes = [_slopes(cfg_sample, abar, s) for s in scales]
    found = {name: [_final_variance(slope, abar, eta) for slope in slopes] for name, eta in SOLVERS.items()}
    return Variances(scales, theory, found)


def _slopes(cfg_sample: Block, abar: Tensor, s: float) -> list[Tensor]:
    slopes: list[Tensor] = []

    def model(x: Tensor, t: Tensor, y: Tensor) -> Tensor:
        level = abar[t].unsqueeze(1)
        variance = torch.where(y == 1, 1.0, 2.0).unsqueeze(1)
        return (1 - level).sqrt() * x / (level * variance + 1 - level)

    def note(eps: Tensor, x: Tensor, t: int) -> Tensor:
        slopes.append(eps)
        return x

    cfg_sample(model, note, torch.ones(1, 1, dtype=torch.float64), torch.tensor([1]), 0, [s] * len(abar))
    return slopes


def _final_variance(slopes: list[Tensor], abar: Tensor, eta: float) -> float:
    one, none, variance = torch.ones(1, 1, dtype=torch.float64), torch.zeros(1, 1, dtype=torch.float64), 1.0
    for t, slope in zip(reversed(range(len(abar))), slopes, strict=True):
        factor, noise = move(slope, one, t, abar, eta), move(none, none, t, abar, eta, one)
        variance = float(factor) ** 2 * variance + float(noise) ** 2
    return variance


@dataclass(frozen=True)
class Answers:
    """Samples (n, 2) of one class by solver and scale, beside draws of the exact tilted density at each scale.

    `distance` is the energy distance to those draws, `radius` the mean distance from the centre, `accuracy` the mean
    probability that the perfect classifier gives the class. `within[name]` is the accuracy at `guided` with guidance
    confined to a part of the steps, "first" being the noisiest.
    """

    scales: tuple[float, ...]
    tilted: dict[float, Tensor]
    clouds: dict[tuple[str, float], Tensor]
    distance: dict[tuple[str, float], float]
    floor: float
    within: dict[str, float] = field(default_factory=dict)
    guided: float = 3.0

    def radius(self, points: Tensor) -> float:
        """Return the mean distance of points (n, 2) from the centre."""
        return float(points.norm(dim=-1).mean())

    @property
    def grows(self) -> float:
        """Return how far out DDIM ends at the largest scale, over where it ends with none."""
        return self.radius(self.clouds["DDIM", self.scales[-1]]) / self.radius(self.clouds["DDIM", self.scales[0]])

    @property
    def apart(self) -> float:
        """Return the energy distance of DDIM's samples to the tilted density, over DDPM's, at the largest scale."""
        return self.distance["DDIM", self.scales[-1]] / self.distance["DDPM", self.scales[-1]]


def tilted(mixture: Mixture, y: int, s: float, n: int, generator: torch.Generator) -> Tensor:
    """Draw n points (n, D) of the density proportional to p(x | y) p(y | x)^(s - 1), for s >= 1.

    By importance resampling: points of p(x | y) are drawn again with the weights p(y | x)^(s - 1), which are at most 1.
    """
    pool = mixture.sample(20 * n, generator, y)[0]
    weights = ((s - 1) * mixture.class_log_prob(pool)[:, y]).exp()
    return pool[torch.multinomial(weights, n, replacement=True, generator=generator)]


@one_thread()
def three_answers(cfg_sample: Block, *, profile: Profile, seed: int = 0) -> Answers:
    """Sample one class of four on a ring of eight wide modes, T = 200, exact eps, by DDPM and DDIM at four scales.

    Measured at "laptop", seeds 0 to 4: energy distance at s = 1 .0008 to .0016 (DDPM) and .0004 to .0024 (DDIM), other
    exact draws .0005 to .0017; at s = 5 .058 to .067 and .643 to .668; mean radius at s = 5 1.66 and 2.12, exact 1.47
    to 1.48. The class is sure to .913 to .921 unguided, at s = 3 to .914 to .921, .943 to .949 and .989 to .990 guided
    in the first, middle and last steps alone, .991 in all. 10 s of one core a seed.
    """
    mixture, y = ring(std=0.35, classes=4), 0
    n, scales = profile.choose(smoke=200, laptop=2000, gpu=20000), (1.0, 2.0, 3.0, 5.0)
    draw = _Sampler(cfg_sample, mixture, y, n, seed)
    generator = torch.Generator().manual_seed(1000 + seed)
    exact = {s: tilted(mixture, y, s, n, generator) for s in scales}
    clouds = {(name, s): draw(s, eta) for s in scales for name, eta in SOLVERS.items()}
    distance = {key: energy_distance(cloud, exact[key[1]]) for key, cloud in clouds.items()}
    floor = energy_distance(tilted(mixture, y, 1.0, n, generator), exact[1.0])
    within = {name: draw.accuracy(draw(3.0, 1.0, steps)) for name, steps in PARTS.items()}
    return Answers(scales, exact, clouds, distance, floor, within)


@dataclass(frozen=True)
class _Sampler:
    """Draws n points of the class y with exact eps, always from the same noise."""

    cfg_sample: Block
    mixture: Mixture
    y: int
    n: int
    seed: int
    abar: Tensor = field(default_factory=lambda: linear_abar(T))

    def __call__(self, s: float, eta: float, guided: range = PARTS["all steps"]) -> Tensor:
        generator = torch.Generator().manual_seed(2000 + self.seed)
        start = torch.randn(self.n, 2, dtype=torch.float64, generator=generator)
        labels = torch.full((self.n,), self.y)
        step, null = stepper(self.abar, eta, generator), self.mixture.class_count
        scales = [s if t in guided else 1.0 for t in range(T)]
        return self.cfg_sample(self._model, step, start, labels, null, scales)

    def _model(self, x: Tensor, t: Tensor, y: Tensor) -> Tensor:
        free = y == self.mixture.class_count
        eps = torch.empty_like(x)
        eps[free] = self.mixture.eps(x[free], self.abar[t[free]])
        eps[~free] = self.mixture.eps(x[~free], self.abar[t[~free]], y[~free])
        return eps

    def accuracy(self, points: Tensor) -> float:
        """Return the mean probability of the class at points (n, 2)."""
        return float(self.mixture.class_log_prob(points)[:, self.y].exp().mean())
