"""The whole pipeline in miniature: two networks on captioned shapes, at equal steps, measured and led astray.

Bias: what the Fréchet distance of a perfect generator is with few samples. No training, exact at every profile.

Straight: DDIM's step and Euler's step on the straight path, from the same predictions of the noise. Exact as well.

Studio: a rectified flow and a noise predictor, trained alike; each drawn with two spacings of the time at equal steps;
then guidance under three measures, and sentences that the model cannot draw.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from studium import Claim, Profile
from torch import Tensor, nn

from studium_topics.kits import shapes
from studium_topics.kits.diffusion import UNet, linear_betas
from studium_topics.kits.digits import split
from studium_topics.kits.training import one_thread, train
from studium_topics.text_to_image import judge as judging
from studium_topics.text_to_image.model import Captioned, Patches, noise_of, painter, tokens

Block = Callable[..., Any]
Model = Callable[[Tensor, Tensor, Tensor], Tensor]

LEVELS = 1000
ABAR = torch.cumprod(1 - linear_betas(LEVELS), 0)
COUNTS = (70, 100, 200, 400, 800, 1600, 3200)
BATCH, LEARNING_RATE, DROP = 64, 4e-3, 0.1
STEPS, SCALES = (2, 4, 8, 16), (1.0, 2.0, 4.0, 8.0)
SPACINGS = ("straight", "DDIM")
SWAPS = (("a red ring and a blue disc", "a blue ring and a red disc"),
         ("a green square and a white cross", "a white square and a green cross"),
         ("a yellow triangle and a purple square", "a purple triangle and a yellow square"))  # fmt: skip


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
        x = start
        point = as_flow(x, noise_in(x, levels[0]), levels[0])[0]
        for abar, cleaner in zip(levels[:-1], levels[1:], strict=True):
            eps = noise_in(x, abar)
            guess = (x - (1 - abar) ** 0.5 * eps) / abar**0.5
            x = cleaner**0.5 * guess + (1 - cleaner) ** 0.5 * eps
            scaled = point * (abar**0.5 + (1 - abar) ** 0.5)
            _, now, v = as_flow(scaled, noise_in(scaled, abar), abar)
            point = point + (flow_time(cleaner) - now) * v
        worst = max(worst, float((x - point).abs().max()))
    return worst


def flow_time(abar: float) -> float:
    """Return the time on the straight path whose ratio of noise to signal is DDPM's at `abar`."""
    return (1 - abar) ** 0.5 / (abar**0.5 + (1 - abar) ** 0.5)


def ddim_levels(steps: int) -> list[int]:
    """Return `steps` timesteps from LEVELS - 1 down, evenly spaced ("trailing" in diffusers)."""
    return [round(LEVELS * (steps - step) / steps) - 1 for step in range(steps)]


def times(spacing: str, steps: int) -> list[float]:
    """Return steps + 1 times that fall to 0: evenly spaced from 1, or where DDIM's evenly spaced timesteps are."""
    if spacing == "straight":
        return [1 - step / steps for step in range(steps + 1)]
    return [*map(flow_time, ABAR[ddim_levels(steps)].tolist()), 0.0]


class NoisePredictor(nn.Module):
    """A network that predicts DDPM's noise, as a velocity on the straight path: model(z, t, ids)."""

    def __init__(self, network: UNet, as_flow: Block) -> None:
        super().__init__()
        self.network, self.as_flow = network, as_flow

    def forward(self, z: Tensor, t: Tensor, ids: Tensor) -> Tensor:
        now = min(float(t[0]), flow_time(float(ABAR[-1])))  # beyond the last level there is no signal to predict from
        abar = (1 - now) ** 2 / ((1 - now) ** 2 + now**2)
        x = z * (abar**0.5 + (1 - abar) ** 0.5)
        level = torch.searchsorted(-ABAR, torch.tensor(-abar, dtype=ABAR.dtype)).clamp(max=LEVELS - 1)
        eps = self.network(x, torch.full_like(t, float(level) / LEVELS), ids)
        return self.as_flow(x, eps, abar)[2]


@dataclass(frozen=True)
class Data:
    """What both networks are trained on: latents (N, 5, 8, 8), ids (N, L), and the autoencoder."""

    latents: Tensor
    ids: Tensor
    patches: Patches


def prepared(seed: int, profile: Profile) -> Data:
    """Return the training set of a seed."""
    drawn = Captioned.drawn(profile.choose(smoke=400, laptop=8000, gpu=40000), 100 + seed)
    patches = Patches.fit(drawn.images)
    return Data(patches.encode(drawn.images), tokens(drawn.captions), patches)


def trained(loss: Callable[[UNet, Tensor, Tensor, torch.Generator], Tensor], data: Data, profile: Profile, seed: int,
            description: str) -> UNet:  # fmt: skip
    """Return a painter after steps of BATCH random rows of the data; loss(model, latents, ids, generator)."""
    model = painter(seed)

    def batch_loss(generator: torch.Generator) -> Tensor:
        rows = torch.randint(len(data.ids), (BATCH,), generator=generator)
        return loss(model, data.latents[rows], data.ids[rows], generator)

    steps = profile.choose(smoke=12, laptop=700, gpu=7000)
    train(model, batch_loss, steps, LEARNING_RATE, schedule="onecycle", clip=1.0, seed=seed, description=description)
    return model.eval()


def noise_loss(model: UNet, x0: Tensor, ids: Tensor, generator: torch.Generator) -> Tensor:
    """Return DDPM's loss, a scalar: the mean squared error of the noise at a random timestep; captions drop as in cfg."""
    level = torch.randint(LEVELS, (len(x0),), generator=generator)
    noise = torch.randn(x0.shape, generator=generator)
    abar = ABAR[level].float().view(-1, 1, 1, 1)
    ids = ids * (torch.rand(len(x0), 1, generator=generator) >= DROP)
    eps = model(abar.sqrt() * x0 + (1 - abar).sqrt() * noise, level / LEVELS, ids)
    return (eps - noise).square().mean()
