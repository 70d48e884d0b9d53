"""Digits: a trained network and a perfect one, sampled at many scales; the judge never saw their data."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from studium import Profile
from torch import Tensor

from studium_topics.cfg.network import NULL, DigitDenoiser
from studium_topics.cfg.sampling import cosine_abar
from studium_topics.kits.digits import Digits as Data
from studium_topics.kits.digits import Judge, judge, split
from studium_topics.kits.mixture import energy_distance
from studium_topics.kits.training import one_thread, train

Block = Callable[..., Tensor]
Scales = Callable[..., list[float]]
SCALES = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 8.0)
STRONG = 8.0  # the scale that is repaired
INTERVAL = (0.3, 1.0)  # noise levels
DROP = 0.15


@dataclass(frozen=True)
class Measured:
    """What a set of digits is worth: the judge's accuracy, the diversity within a class, the distance to real ones.

    diversity: the mean distance of two digits of one class; distance: the energy distance to real digits that the
    generator has not seen, which is the judge's half.
    """

    accuracy: float
    diversity: float
    distance: float


@dataclass(frozen=True)
class Digits:
    """Digits by scale, of the trained network and of a perfect one; `real` the same figures of the training digits.

    `asymmetry` of the Jacobian of the implied gradient, by noise level sigma: 0 for a gradient of anything.
    """

    model: DigitDenoiser
    history: list[float] = field(repr=False)
    by_scale: dict[float, Measured]
    perfect: dict[float, Measured]
    real: Measured
    asymmetry: dict[float, float]

    @property
    def best(self) -> float:
        """Return the scale at which the trained network's samples are nearest to real digits."""
        return min(self.by_scale, key=lambda s: self.by_scale[s].distance)

    def over_best(self, s: float) -> float:
        """Return the energy distance at scale s over the smallest of all scales, of the trained network."""
        return self.by_scale[s].distance / self.by_scale[self.best].distance

    def gain(self, kind: str) -> float:
        """Return the energy distance at s = 1.5 over that at s = 1, for kind "trained" or "perfect"."""
        found = {"trained": self.by_scale, "perfect": self.perfect}[kind]
        return found[1.5].distance / found[1.0].distance


@one_thread()
def digits(drop_labels: Block, sample_digits: Block, *, profile: Profile, seed: int = 0) -> Digits:
    """Train with dropped labels, T = 100, cosine schedule; sample at each of SCALES from the same noise by DDPM.

    A perfect network for the same digits is sampled beside it, at the scales from 1 on.

    Measured at "laptop", seeds 0 to 4, at s = 0, 1, 1.5, 2, 3 and 8: accuracy .09 to .11, .978 to .990, .994 to 1, .996
    to 1, .996 to 1 and .992 to 1; diversity 4.85 to 4.93, 3.49 to 3.66, 3.38 to 3.48, 3.34 to 3.41, 3.39 to 3.47 and
    3.57 to 3.89; distance .091 to .108, .043 to .051, .036 to .040, .039 to .043, .057 to .064 and .181 to .240, that
    of the training digits .010. Asymmetry .28 to .40. Distance of the perfect network, seeds 0 to 2: .017 to .021 at 1,
    .018 to .023 at 1.5, .041 to .048 at 8.
    """
    abar = cosine_abar(100).to(profile.device)
    model, history = fitted(drop_labels, abar, profile, seed)
    draw, critic = _Sampler(sample_digits, abar, profile, seed), _Critic(judge(), split()[1].images.flatten(1))
    flawless = perfect(split()[0].to(profile.device), abar)
    by_scale = {s: critic(draw(model, [s] * len(abar)), draw.labels.cpu()) for s in SCALES}
    ideal = {s: critic(draw(flawless, [s] * len(abar)), draw.labels.cpu()) for s in SCALES if s >= 1}
    real = critic(split()[0].images, split()[0].labels)
    return Digits(model, history, by_scale, ideal, real, asymmetries(model, abar))


@dataclass(frozen=True)
class Repairs:
    """Digits (n, 1, 8, 8) at STRONG and what they are worth, by what was done: "as it is", "rescaled", "interval"."""

    measured: dict[str, Measured]
    samples: dict[str, Tensor] = field(repr=False)

    @property
    def left(self) -> float:
        """Return the energy distance that the interval leaves, over that without."""
        return self.measured["interval"].distance / self.measured["as it is"].distance


@one_thread()
def repairs(
    drop_labels: Block, cfg_eps: Block, sample_digits: Block, interval_scales: Scales, rescale: Block, *,
    profile: Profile, seed: int = 0, model: DigitDenoiser | None = None,
) -> Repairs:  # fmt: skip
    """Sample at the scale STRONG as it is, rescaled by phi = 0.7, and guided in INTERVAL alone.

    model: the network of `digits` for the same seed, trained anew if left out. Measured at "laptop", seeds 0 to 4:
    rescaling leaves .96 to 1.00 of the energy distance, the interval .29 to .39.
    """
    abar = cosine_abar(100).to(profile.device)
    network = model or fitted(drop_labels, abar, profile, seed)[0]
    draw, critic = _Sampler(sample_digits, abar, profile, seed), _Critic(judge(), split()[1].images.flatten(1))

    def rescaled(x: Tensor, t: Tensor, y: Tensor) -> Tensor:
        return rescale(cfg_eps(network, x, t, y, NULL, STRONG), cfg_eps(network, x, t, y, NULL, 1.0), 0.7)

    samples = {
        "as it is": draw(network, [STRONG] * len(abar)),
        "rescaled": draw(rescaled, [1.0] * len(abar)),
        "interval": draw(network, interval_scales(STRONG, abar, *INTERVAL)),
    }
    return Repairs({name: critic(x, draw.labels.cpu()) for name, x in samples.items()}, samples)


@dataclass(frozen=True)
class _Sampler:
    """Draws digits, a tenth of each class, always from the same noise."""

    sample_digits: Block
    abar: Tensor
    profile: Profile
    seed: int

    @property
    def labels(self) -> Tensor:
        count = self.profile.choose(smoke=50, laptop=500, gpu=2000)
        return torch.arange(count, device=self.abar.device) % 10

    def __call__(self, model: Block, scales: list[float]) -> Tensor:
        generator = torch.Generator().manual_seed(2000 + self.seed)
        return self.sample_digits(model, self.labels, NULL, scales, self.abar, generator)[-1].cpu()


def fitted(drop_labels: Block, abar: Tensor, profile: Profile, seed: int) -> tuple[DigitDenoiser, list[float]]:
    """Return a network trained on the generator's half with labels dropped, and the loss of each step."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = DigitDenoiser(len(abar), profile.choose(smoke=64, laptop=256, gpu=1024)).to(profile.device)
    half = split()[0]
    images, classes = half.images, half.labels
    batch = profile.choose(smoke=64, laptop=256, gpu=1024)

    def loss(generator: torch.Generator) -> Tensor:
        rows = torch.randint(0, len(images), (batch,), generator=generator)
        x0, y = images[rows].to(profile.device), drop_labels(classes[rows], DROP, NULL, generator).to(profile.device)
        t = torch.randint(0, len(abar), (batch,), generator=generator).to(profile.device)
        eps = torch.randn(x0.shape, generator=generator).to(profile.device)
        level = abar[t].view(-1, 1, 1, 1).float()
        return (model(level.sqrt() * x0 + (1 - level).sqrt() * eps, t, y) - eps).square().mean()

    steps = profile.choose(smoke=60, laptop=3000, gpu=10000)
    history = train(model, loss, steps, 2e-3, seed=seed, clip=1.0, bf16=True, compile=True, description="digits")
    return model.eval(), history


def perfect(data: Data, abar: Tensor) -> Block:
    """Return model(x, t, y) at the minimum of the training loss on these digits, which is E[eps | x_t] in closed form.

    The mean of x0 given x_t is an average of the training digits, weighted by how likely each would have become x_t.
    """
    points, size = data.images.flatten(1), data.images.flatten(1).square().sum(1)  # (N, 64), (N,)

    def model(x: Tensor, t: Tensor, y: Tensor) -> Tensor:
        level = abar[t].unsqueeze(1).float()  # (B, 1)
        logits = (level.sqrt() * x.flatten(1) @ points.T - level / 2 * size) / (1 - level)  # (B, N)
        other = (y.unsqueeze(1) != NULL) & (y.unsqueeze(1) != data.labels)
        mean = (logits.masked_fill(other, -math.inf).softmax(1) @ points).view_as(x)
        level = level.view(-1, 1, 1, 1)
        return (x - level.sqrt() * mean) / (1 - level).sqrt()

    return model


@dataclass(frozen=True)
class _Critic:
    """Judges digits (n, 1, 8, 8) by the judge's half, images (m, 64)."""

    judge: Judge
    images: Tensor

    def __call__(self, x: Tensor, y: Tensor) -> Measured:
        pixels = x.flatten(1)
        return Measured(self.judge.accuracy(x, y), diversity(pixels, y), energy_distance(pixels, self.images))


def diversity(x: Tensor, y: Tensor) -> float:
    """Return the mean distance of two different rows of x (n, D) of one label, averaged over the labels in y (n,)."""
    means = []
    for label in y.unique():
        own = x[y == label]
        means.append(torch.cdist(own, own).sum() / (len(own) * (len(own) - 1)))
    return float(torch.stack(means).mean())


def asymmetries(model: Block, abar: Tensor) -> dict[float, float]:
    """Return how far the implied gradient is from being one: |J - J^T| / |J + J^T| of its Jacobian, by noise level.

    J (64, 64) at noised digits of the judge's half. A gradient of any function has a symmetric Jacobian.
    """
    half = split()[1]
    x0, y = half.images[:10].to(abar.device), half.labels[:10].to(abar.device)
    generator = torch.Generator().manual_seed(0)
    eps = torch.randn(x0.shape, generator=generator).to(abar.device)
    found = {}
    for t in (20, 40, 60, 80):
        times = torch.full_like(y, t)
        x = abar[t].sqrt().float() * x0 + (1 - abar[t]).sqrt().float() * eps

        def field(x: Tensor, times: Tensor = times) -> Tensor:
            pull = model(x, times, torch.full_like(y, NULL)) - model(x, times, y)  # a multiple of the gradient
            return pull.sum(0).flatten()  # rows do not meet, so that its Jacobian holds one for each row

        jacobian = torch.autograd.functional.jacobian(field, x).flatten(2).transpose(0, 1)  # (10, 64, 64)
        ratio = (jacobian - jacobian.mT).norm(dim=(1, 2)) / (jacobian + jacobian.mT).norm(dim=(1, 2))
        found[round(float(((1 - abar[t]) / abar[t]).sqrt()), 2)] = float(ratio.mean())
    return found
