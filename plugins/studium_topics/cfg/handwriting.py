"""Digits: one network, trained with labels and without, sampled at many scales; the judge never saw its data."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from studium import Profile
from torch import Tensor

from studium_topics.cfg.network import NULL, DigitDenoiser
from studium_topics.cfg.sampling import cosine_abar, stepper
from studium_topics.kits.digits import Judge, judge, split
from studium_topics.kits.mixture import energy_distance
from studium_topics.kits.training import one_thread, train

Block = Callable[..., Tensor]
SCALES = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 8.0)
STRONG = 8.0  # the scale that is mended
INTERVAL = (0.3, 1.0)  # noise levels
DROP = 0.15
EVERYWHERE = (0.0, math.inf)


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
    """Digits by scale; `mended` at STRONG, by what was done; `real` the same figures of the training digits.

    samples[name] (n, 64), labels (n,); `asymmetry` of the Jacobian of the implied gradient, by noise level sigma: 0 for
    a gradient of anything.
    """

    model: DigitDenoiser
    history: list[float] = field(repr=False)
    by_scale: dict[float, Measured]
    mended: dict[str, Measured]
    real: Measured
    samples: dict[str, Tensor] = field(repr=False)
    labels: Tensor = field(repr=False)
    asymmetry: dict[float, float]

    @property
    def best(self) -> float:
        """The scale whose samples are nearest to real digits."""
        return min(self.by_scale, key=lambda s: self.by_scale[s].distance)

    def over_best(self, s: float) -> float:
        """The energy distance at scale s over the smallest of all scales."""
        return self.by_scale[s].distance / self.by_scale[self.best].distance


@one_thread()
def digits(
    drop_labels: Block, implied_grad: Block, cfg_eps: Block, cfg_sample: Block, rescale: Block, *,
    profile: Profile, seed: int = 0,
) -> Digits:  # fmt: skip
    """Train with dropped labels, T = 100, cosine schedule; sample at each of SCALES from the same noise by DDPM.

    Measured at "laptop", seeds 0 to 4, at s = 0, 1, 1.5, 2, 3 and 8: accuracy .09 to .11, .978 to .990, .994 to 1, .996
    to 1, .996 to 1 and .992 to 1; diversity 4.85 to 4.93, 3.49 to 3.66, 3.38 to 3.48, 3.34 to 3.41, 3.39 to 3.47 and
    3.57 to 3.89; distance .091 to .108, .043 to .051, .036 to .040, .039 to .043, .057 to .064 and .181 to .240, that
    of the training digits .010. At s = 8 rescaling leaves .96 to 1.00 of the distance, the interval .29 to .39.
    Asymmetry .28 to .40. 40 s of one core a seed, 490 MB.
    """
    abar = cosine_abar(100).to(profile.device)
    model, history = fitted(drop_labels, abar, profile, seed)
    draw = _Sampler(cfg_sample, abar, profile.choose(smoke=50, laptop=500, gpu=2000), seed)

    def rescaled(x: Tensor, t: Tensor, y: Tensor) -> Tensor:
        return rescale(cfg_eps(model, x, t, y, NULL, STRONG), cfg_eps(model, x, t, y, NULL, 1.0), 0.7)

    samples = {f"s = {s:g}": draw(model, s) for s in SCALES}
    samples |= {"rescaled": draw(rescaled, 1.0), "interval": draw(model, STRONG, INTERVAL)}
    critic = _Critic(judge(), split()[1].images.flatten(1))
    found = {name: critic(x, draw.labels.cpu()) for name, x in samples.items()}
    by_scale = {s: found[f"s = {s:g}"] for s in SCALES}
    mended = {name: found[name] for name in ("rescaled", "interval")}
    real = critic(split()[0].images.flatten(1), split()[0].labels)
    curls = asymmetries(model, implied_grad, abar)
    return Digits(model, history, by_scale, mended, real, samples, draw.labels.cpu(), curls)


@dataclass(frozen=True)
class _Sampler:
    """Draws n digits, a tenth of each class, by DDPM with x0 kept in [-1, 1], always from the same noise."""

    cfg_sample: Block
    abar: Tensor
    n: int
    seed: int

    @property
    def labels(self) -> Tensor:
        return torch.arange(self.n, device=self.abar.device) % 10

    @torch.no_grad()
    def __call__(self, model: Block, s: float, interval: tuple[float, float] = EVERYWHERE) -> Tensor:
        generator = torch.Generator().manual_seed(2000 + self.seed)
        start = torch.randn(self.n, 64, generator=generator).to(self.abar.device)
        step = stepper(self.abar, 1.0, generator, clip=1.0)
        return self.cfg_sample(model, step, start, self.labels, NULL, s, self.abar, interval).cpu()


def fitted(drop_labels: Block, abar: Tensor, profile: Profile, seed: int) -> tuple[DigitDenoiser, list[float]]:
    """A network trained on the generator's half with labels dropped, and the loss of each step."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = DigitDenoiser(len(abar), profile.choose(smoke=64, laptop=256, gpu=1024)).to(profile.device)
    half = split()[0]
    images, classes = half.images.flatten(1), half.labels
    batch = profile.choose(smoke=64, laptop=256, gpu=1024)

    def loss(generator: torch.Generator) -> Tensor:
        rows = torch.randint(0, len(images), (batch,), generator=generator)
        x0, y = images[rows].to(profile.device), drop_labels(classes[rows], DROP, NULL, generator).to(profile.device)
        t = torch.randint(0, len(abar), (batch,), generator=generator).to(profile.device)
        eps = torch.randn(x0.shape, generator=generator).to(profile.device)
        level = abar[t].unsqueeze(1).float()  # (B, 1)
        return (model(level.sqrt() * x0 + (1 - level).sqrt() * eps, t, y) - eps).square().mean()

    steps = profile.choose(smoke=60, laptop=3000, gpu=10000)
    history = train(model, loss, steps, 2e-3, seed=seed, clip=1.0, bf16=True, compile=True, description="digits")
    return model.eval(), history


@dataclass(frozen=True)
class _Critic:
    """Judges digits by the judge's half, images (m, 64)."""

    judge: Judge
    images: Tensor

    def __call__(self, x: Tensor, y: Tensor) -> Measured:
        return Measured(self.judge.accuracy(x, y), diversity(x, y), energy_distance(x, self.images))


def diversity(x: Tensor, y: Tensor) -> float:
    """The mean distance of two different rows of x (n, D) that have one label, averaged over the labels in y (n,)."""
    means = []
    for label in y.unique():
        own = x[y == label]
        means.append(torch.cdist(own, own).sum() / (len(own) * (len(own) - 1)))
    return float(torch.stack(means).mean())


def asymmetries(model: DigitDenoiser, implied_grad: Block, abar: Tensor) -> dict[float, float]:
    """How far the implied gradient is from being one: |J - J^T| / |J + J^T| of its Jacobian, at four noise levels.

    J (64, 64) at noised digits of the judge's half. A gradient of any function has a symmetric Jacobian.
    """
    half = split()[1]
    x0, y = half.images[:10].flatten(1).to(abar.device), half.labels[:10].to(abar.device)
    generator = torch.Generator().manual_seed(0)
    eps = torch.randn(x0.shape, generator=generator).to(abar.device)
    found = {}
    for t in (20, 40, 60, 80):
        times = torch.full_like(y, t)
        x = abar[t].sqrt().float() * x0 + (1 - abar[t]).sqrt().float() * eps

        def field(x: Tensor, times: Tensor = times) -> Tensor:
            implied = implied_grad(model(x, times, torch.full_like(y, NULL)), model(x, times, y), times, abar)
            return implied.sum(0)  # rows do not meet, so that its Jacobian holds one for each row

        jacobian = torch.autograd.functional.jacobian(field, x).transpose(0, 1)  # (10, 64, 64)
        ratio = (jacobian - jacobian.mT).norm(dim=(1, 2)) / (jacobian + jacobian.mT).norm(dim=(1, 2))
        found[round(float(((1 - abar[t]) / abar[t]).sqrt()), 2)] = float(ratio.mean())
    return found
