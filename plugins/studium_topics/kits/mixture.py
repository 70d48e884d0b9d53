"""Isotropic Gaussian mixtures whose noisy marginals, scores and denoisers are exact.

Noise keeps a mixture a mixture, so a sampler or a guidance rule can be judged with no training:

    VP  x_t = sqrt(abar_t) x0 + sqrt(1 - abar_t) eps    component k: N(sqrt(abar_t) mu_k, abar_t s2_k + 1 - abar_t)
    VE  x_t = x0 + sigma eps                            component k: N(mu_k, s2_k + sigma^2)

with t = 0..T-1, abar_t = prod_{s<=t} (1 - beta_s) and score = -eps / sqrt(1 - abar_t). All numbers are float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Mixture:
    """K isotropic Gaussians in D dimensions, each with a weight and a class.

    means (K, D); variances (K,), >= 0 (0 is a point mass: noise it before asking for densities);
    weights (K,), sum 1, equal by default; classes (K,) long, 0..C-1, all 0 by default.
    A marginal at one noise level per row carries a leading B: means (B, K, D), variances and weights (B, K).
    Every `x` is (..., D) and is read as float64; results are float64 on the mixture's device.
    """

    means: Tensor
    variances: Tensor
    weights: Tensor = field(default=None)  # type: ignore[assignment]
    classes: Tensor = field(default=None)  # type: ignore[assignment]

    def __post_init__(self) -> None:
        means = torch.as_tensor(self.means).double()  # (..., K, D)
        modes, device = means.shape[-2] if means.ndim > 1 else 0, means.device
        equal, first = torch.full((modes,), 1 / max(modes, 1), dtype=torch.float64), torch.zeros(modes)
        values = {
            "means": means,
            "variances": torch.as_tensor(self.variances, dtype=torch.float64, device=device),
            "weights": torch.as_tensor(equal if self.weights is None else self.weights, device=device).double(),
            "classes": torch.as_tensor(first if self.classes is None else self.classes, device=device).long(),
        }
        _check(**values)
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @property
    def dimension(self) -> int:
        """D, the number of coordinates of a point."""
        return self.means.shape[-1]

    @property
    def class_count(self) -> int:
        """C, the number of classes."""
        return int(self.classes.max()) + 1

    def to(self, device: torch.device | str) -> Mixture:
        """The same mixture on `device`."""
        fields = ("means", "variances", "weights", "classes")
        return replace(self, **{name: getattr(self, name).to(device) for name in fields})

    def vp(self, abar: float | Tensor) -> Mixture:
        """The marginal of x_t = sqrt(abar) x0 + sqrt(1 - abar) eps; abar in [0, 1], one number or one per row (B,)."""
        abar = self._signal(abar)
        return self._noised(abar.sqrt(), 1 - abar)

    def ve(self, sigma: float | Tensor) -> Mixture:
        """The marginal of x_t = x0 + sigma eps; sigma >= 0, one number or one per row (B,)."""
        sigma = self._number(sigma)
        return self._noised(torch.ones_like(sigma), sigma**2)

    def given(self, y: int | Tensor | None) -> Mixture:
        """The mixture of x given its class y, one number or one per row (B,); all of it for None."""
        if y is None:
            return self
        y = torch.as_tensor(y, device=self.classes.device)
        weights = self.weights * (self.classes == y.unsqueeze(-1))  # (K,) or (B, K)
        total = weights.sum(-1, keepdim=True)
        if bool((total == 0).any()):
            raise ValueError(f"y needs to be a class from 0 to {self.class_count - 1}, got {y.unique().tolist()}")
        return replace(self, weights=weights / total)

    def log_prob(self, x: Tensor) -> Tensor:
        """The log density at x (B, D), as (B,)."""
        return self._log_joint(x).logsumexp(-1)

    def responsibilities(self, x: Tensor) -> Tensor:
        """p(component | x), as (B, K); finite however far x is, for the largest logarithm is subtracted."""
        return self._log_joint(x).softmax(-1)

    def score(self, x: Tensor) -> Tensor:
        """The gradient of the log density at x (B, D), as (B, D)."""
        pull = self.responsibilities(x) / self.variances  # (B, K)
        return torch.einsum("...k,...kd->...d", pull, self.means - self._points(x).unsqueeze(-2))

    def class_log_prob(self, x: Tensor) -> Tensor:
        """log p(y | x) for each of the C classes, as (B, C): the perfect classifier's log-probabilities."""
        joint = self._log_joint(x)  # (B, K)
        member = self.classes == torch.arange(self.class_count, device=self.classes.device).unsqueeze(-1)  # (C, K)
        return joint.unsqueeze(-2).masked_fill(~member, -math.inf).logsumexp(-1).log_softmax(-1)

    def class_score(self, x: Tensor, y: int | Tensor) -> Tensor:
        """The gradient of log p(x | y), as (B, D); y is one class or one per row (B,)."""
        return self.given(y).score(x)

    def class_gradient(self, x: Tensor, y: int | Tensor) -> Tensor:
        """The gradient of log p(y | x) with respect to x, as (B, D)."""
        return self.class_score(x, y) - self.score(x)

    def eps(self, x: Tensor, abar: float | Tensor, y: int | Tensor | None = None) -> Tensor:
        """E[eps | x_t = x] under VP noise, as (B, D): a perfect noise predictor's answer, given the class if y is."""
        abar = self._signal(abar)
        return -(1 - abar).sqrt().unsqueeze(-1) * self.given(y).vp(abar).score(x)

    def x0(self, x: Tensor, abar: float | Tensor, y: int | Tensor | None = None) -> Tensor:
        """E[x0 | x_t = x] under VP noise, as (B, D): what a perfect denoiser returns; finite down to abar = 0."""
        abar = self._signal(abar)
        return self.given(y)._posterior_mean(x, abar.sqrt(), 1 - abar)

    def denoise(self, x: Tensor, sigma: float | Tensor, y: int | Tensor | None = None) -> Tensor:
        """E[x0 | x0 + sigma eps = x] under VE noise, as (B, D)."""
        sigma = self._number(sigma)
        return self.given(y)._posterior_mean(x, torch.ones_like(sigma), sigma**2)

    def noise_predictor(self, abar: Tensor, y: int | Tensor | None = None) -> Callable[[Tensor, Tensor | int], Tensor]:
        """A network's stand-in: `model(x, t)`, t int or (B,), is E[eps | x_t = x] for the table abar (T,)."""
        table = self._signal(abar)
        return lambda x, t: self.eps(x, table[t], y)

    def sample(self, n: int, generator: torch.Generator, y: int | Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Draw n points (n, D) and the component (n,) of each, given the class if y is (one, or one per point (n,))."""
        weights = self.given(y).weights.expand(n, -1)  # (n, K)
        component = torch.multinomial(weights.to(generator.device), 1, replacement=True, generator=generator)[:, 0]
        noise = torch.randn(n, self.dimension, dtype=torch.float64, generator=generator, device=generator.device)
        component, noise = component.to(self.means.device), noise.to(self.means.device)
        return self.means[component] + self.variances[component].sqrt().unsqueeze(-1) * noise, component

    def _number(self, value: float | Tensor) -> Tensor:
        return torch.as_tensor(value, dtype=torch.float64, device=self.means.device)

    def _signal(self, abar: float | Tensor) -> Tensor:
        abar = self._number(abar)
        if bool(((abar < 0) | (abar > 1)).any()):
            raise ValueError(f"abar needs to lie in [0, 1], got {abar.min():.4g} to {abar.max():.4g}")
        return abar

    def _points(self, x: Tensor) -> Tensor:
        if x.shape[-1] != self.dimension:
            raise ValueError(f"x needs {self.dimension} coordinates on its last axis, got shape {tuple(x.shape)}")
        return x.to(self.means)

    def _noised(self, scale: Tensor, variance: Tensor) -> Mixture:
        means = scale[..., None, None] * self.means  # (K, D) or (B, K, D)
        variances = scale.unsqueeze(-1) ** 2 * self.variances + variance.unsqueeze(-1)  # (K,) or (B, K)
        return replace(self, means=means, variances=variances)

    def _log_joint(self, x: Tensor) -> Tensor:
        if bool((self.variances <= 0).any()):
            raise ValueError("a density needs variances above 0, got a point mass: call vp(abar) or ve(sigma) first")
        squared = (self._points(x).unsqueeze(-2) - self.means).square().sum(-1)  # (B, K)
        normaliser = self.dimension / 2 * (2 * math.pi * self.variances).log()
        return self.weights.log() - squared / (2 * self.variances) - normaliser

    def _posterior_mean(self, x: Tensor, scale: Tensor, variance: Tensor) -> Tensor:
        noised = self._noised(scale, variance)
        gain = scale.unsqueeze(-1) * self.variances / noised.variances  # (K,) or (B, K)
        each = self.means + gain.unsqueeze(-1) * (self._points(x).unsqueeze(-2) - noised.means)  # (B, K, D)
        return torch.einsum("...k,...kd->...d", noised.responsibilities(x), each)


def _check(means: Tensor, variances: Tensor, weights: Tensor, classes: Tensor) -> None:
    if means.ndim < 2:
        raise ValueError(f"means needs shape (K, D), got {tuple(means.shape)}")
    modes = means.shape[-2]
    for name, value in {"variances": variances, "weights": weights, "classes": classes}.items():
        if value.shape[-1:] != (modes,):
            raise ValueError(f"{name} needs one number for each of the {modes} means, got shape {tuple(value.shape)}")
    if bool((variances < 0).any()):
        raise ValueError(f"variances need to be 0 or more, got {variances.min():.4g}")
    if bool((weights < 0).any()) or bool(((weights.sum(-1) - 1).abs() > 1e-6).any()):
        raise ValueError(f"weights need to be 0 or more and sum to 1, got {weights.tolist()}")
    labels = classes.unique().tolist()
    if labels != list(range(len(labels))):
        raise ValueError(f"classes need to use every number from 0 up to the largest, got {labels}")


def ring(modes: int = 8, radius: float = 1.4, std: float = 0.1, classes: int = 1) -> Mixture:
    """Equal modes on a circle, the first at (radius, 0), cut into `classes` arcs of neighbours.

    `ring(std=0.35, classes=4)` overlaps, as guidance needs; the default has modes far apart.
    """
    if modes % classes:
        raise ValueError(f"modes needs to be a multiple of classes, got {modes} modes and {classes} classes")
    angle = 2 * math.pi * torch.arange(modes, dtype=torch.float64) / modes
    means = radius * torch.stack([angle.cos(), angle.sin()], -1)  # (K, 2)
    return Mixture(means, _equal(std**2, modes), classes=torch.arange(modes) // (modes // classes))


def two_classes(distance: float = 3.0, std: float = 1.0) -> Mixture:
    """Two equal Gaussians in the plane, `distance` apart on the first axis, class 0 on the left, 1 on the right."""
    means = torch.tensor([[-distance / 2, 0.0], [distance / 2, 0.0]], dtype=torch.float64)
    return Mixture(means, _equal(std**2, 2), classes=torch.arange(2))


def unequal_pair(light: float = 0.2) -> Mixture:
    """`light` N((-5, -5), I) + (1 - `light`) N((5, 5), I): the mixture of NCSN's figure 3 (arXiv 1907.05600)."""
    weights = torch.tensor([light, 1 - light], dtype=torch.float64)
    return Mixture(torch.tensor([[-5.0, -5.0], [5.0, 5.0]]), torch.ones(2), weights, torch.arange(2))


def gaussian(mean: Sequence[float] | Tensor, variance: float) -> Mixture:
    """One Gaussian N(mean, variance I), for which every sampler's final variance has a closed form."""
    return Mixture(torch.as_tensor(mean, dtype=torch.float64).unsqueeze(0), _equal(variance, 1))


def point_masses(points: Tensor) -> Mixture:
    """Equal point masses at points (N, D): its denoiser is the one that a training set's minimal loss asks for."""
    return Mixture(points, _equal(0.0, len(points)))


def _equal(value: float, count: int) -> Tensor:
    return torch.full((count,), value, dtype=torch.float64)


def energy_distance(x: Tensor, y: Tensor) -> float:
    """2 E|x - y| - E|x - x'| - E|y - y'| of the samples x (N, D) and y (M, D), diagonals included; 0 for equal samples.

    Do not grade a sampler with it alone: how many points fell on each mode outweighs most mistakes.
    """
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1]:
        raise ValueError(f"energy_distance needs (N, D) and (M, D), got {tuple(x.shape)} and {tuple(y.shape)}")
    x, y = x.detach().double(), y.detach().to(x.device).double()
    return float(2 * _mean_distance(x, y) - _mean_distance(x, x) - _mean_distance(y, y))


def _mean_distance(x: Tensor, y: Tensor) -> Tensor:
    return torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist").mean()


def within_mode_std(x: Tensor, mixture: Mixture) -> float:
    """The spread of x (N, D) around the mode nearest to each point, over the true one: near 1 for a right sampler."""
    return float((_standardised(x, mixture).square().mean() / mixture.dimension).sqrt())


def on_mode_fraction(x: Tensor, mixture: Mixture, radius: float = 3.0) -> float:
    """The fraction of x (N, D) within `radius` standard deviations of a mode; the truth in the plane is 0.989 for 3."""
    return float((_standardised(x, mixture) <= radius).double().mean())


def _standardised(x: Tensor, mixture: Mixture) -> Tensor:
    distance = (mixture._points(x.detach()).unsqueeze(-2) - mixture.means).norm(dim=-1)  # (N, K)
    nearest: Tensor = (distance / mixture.variances.sqrt()).amin(-1)  # (N,)
    return nearest
