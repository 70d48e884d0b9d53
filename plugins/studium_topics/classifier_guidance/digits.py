"""Digits whose diffusion is exact: each image of the generator's half, with a little noise around it, is a mode."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from studium_topics.classifier_guidance.networks import seeded
from studium_topics.kits import digits
from studium_topics.kits.mixture import Mixture
from studium_topics.kits.training import train

SHARPNESS = 0.2  # the noise around each image, of pixels from -1 to 1


def digit_mixture(keep: int) -> Mixture:
    """Return the mixture of `keep` handwritten digits of the generator's half, in 64 dimensions, of class 0 to 9."""
    half = digits.split()[0]
    chosen = torch.arange(keep) * len(half) // keep
    images, labels = half.images[chosen].flatten(1).double(), half.labels[chosen]
    return Mixture(images, torch.full((keep,), SHARPNESS**2), classes=labels)


class ExactDigits:
    """The exact noise predictor and classifier of a mixture with equal weights and variances.

    They equal `Mixture.eps` and `Mixture.class_log_prob` at abar (T,), by matrix products instead of differences: with
    hundreds of modes in 64 dimensions that is many times faster.
    """

    def __init__(self, mixture: Mixture, abar: Tensor) -> None:
        self.means, self.abar = mixture.means, abar
        self.variances = abar * mixture.variances[0] + 1 - abar  # (T,)
        labels = torch.arange(mixture.class_count, device=abar.device).unsqueeze(1)
        self.member = mixture.classes == labels  # (C, K)

    def eps(self, x: Tensor, t: Tensor) -> Tensor:
        """Return E[eps | x_t = x] for x (B, 64) and t (B,)."""
        signal, variance = self.abar[t].unsqueeze(1), self.variances[t].unsqueeze(1)
        clean = self._log_joint(x, t).softmax(1) @ self.means  # (B, 64)
        return (1 - signal).sqrt() * (x - signal.sqrt() * clean) / variance

    def classify(self, x: Tensor, t: Tensor) -> Tensor:
        """Return log p(y | x_t = x) for x (B, 64) and t (B,), as (B, 10)."""
        joint = self._log_joint(x, t).unsqueeze(1)  # (B, 1, K)
        return joint.masked_fill(~self.member, -math.inf).logsumexp(-1).log_softmax(-1)

    def _log_joint(self, x: Tensor, t: Tensor) -> Tensor:
        """Return the log-density of each mode at x, up to a number for each row, as (B, K)."""
        signal, variance = self.abar[t].unsqueeze(1), self.variances[t].unsqueeze(1)
        return (signal.sqrt() * x @ self.means.T - signal * self.means.square().sum(1) / 2) / variance


class DigitJudge:
    """A support-vector machine that has seen the other half of the digits alone, and no noise."""

    def __init__(self) -> None:
        self._judge = digits.judge()

    def __call__(self, x: Tensor) -> Tensor:
        """Return scores (B, 10) for x (B, 64): 1 for the digit that it sees."""
        return F.one_hot(self._judge(x), 10).double()


def trained(loss_of: Callable[..., Tensor], mixture: Mixture, abar: Tensor, steps: int, seed: int) -> nn.Module:
    """Return a classifier trained on fresh draws of the mixture at the levels abar (T,); it works in float64."""
    network = seeded(seed, mixture.dimension, mixture.class_count, len(abar)).to(abar.device)

    def loss(generator: torch.Generator) -> Tensor:
        x0, component = mixture.sample(256, generator)
        t = torch.randint(len(abar), (256,), generator=generator).to(abar.device)
        eps = torch.randn(256, mixture.dimension, generator=generator).to(abar.device)
        return loss_of(network, x0.float(), mixture.classes[component], t, eps, abar)

    train(network, loss, steps, 2e-3, seed=seed, description="a classifier of digits")
    return network.double().eval().requires_grad_(False)
