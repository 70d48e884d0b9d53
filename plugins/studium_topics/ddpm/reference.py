"""DDPM in full: the building blocks of the exercises, and images on a GPU.

The functions are the solutions of the exercises, which test_ddpm.py checks against the schedulers of diffusers. Around
them: 32 x 32 images drawn on the fly, the kits' U-Net, a moving average of its parameters, bf16 autocast, channels-last
memory and torch.compile where there is CUDA, and both samplers. On the CPU this path runs at tiny size in the tests.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from studium import Profile
from torch import Tensor, nn

from studium_topics.ddpm.exercises import (
    clipped_step,
    ddim_step,
    ddim_steps,
    ddpm_loss,
    final_variance,
    make_betas,
    p_step,
    posterior,
    q_sample,
    sample,
    train,
)
from studium_topics.ddpm.networks import PointDenoiser
from studium_topics.ddpm.sampling import Predictor, implicit
from studium_topics.kits.diffusion import UNet
from studium_topics.kits.digits import split
from studium_topics.kits.training import train as fit

__all__ = [
    "Average",
    "ImageRun",
    "PointDenoiser",
    "UNet",
    "clipped_step",
    "ddim_step",
    "ddim_steps",
    "ddpm_loss",
    "draw_images",
    "final_variance",
    "large_digits",
    "make_betas",
    "p_step",
    "posterior",
    "q_sample",
    "sample",
    "shapes",
    "train",
    "train_on_images",
]


def shapes(n: int, generator: torch.Generator, size: int = 32) -> Tensor:
    """Draw n images (n, 1, size, size) in [-1, 1]: a disc, a square or a diamond of random place and radius."""
    grid = torch.linspace(-1, 1, size)
    place = 0.8 * torch.rand(n, 2, 1, 1, generator=generator) - 0.4
    radius = 0.25 + 0.3 * torch.rand(n, 1, 1, generator=generator)
    kind = torch.randint(0, 3, (n, 1, 1), generator=generator)
    dx, dy = (grid.view(1, 1, -1) - place[:, 0]).abs(), (grid.view(1, -1, 1) - place[:, 1]).abs()  # (n, size, size)
    norms = ((dx**2 + dy**2).sqrt(), torch.maximum(dx, dy), dx + dy)
    reach = torch.where(kind == 0, norms[0], torch.where(kind == 1, norms[1], norms[2]))
    return ((radius - reach) * size / 2).clamp(-1, 1).unsqueeze(1)  # an edge two pixels wide


def large_digits(n: int, generator: torch.Generator, size: int = 32) -> Tensor:
    """Draw n handwritten digits (n, 1, size, size) in [-1, 1], enlarged from 8 x 8, of the generator's half."""
    images = split()[0].images
    chosen = images[torch.randint(0, len(images), (n,), generator=generator)]
    return nn.functional.interpolate(chosen, size=(size, size), mode="bilinear", align_corners=False)


class Average:
    """An exponential moving average of a network's parameters, with a warm-up: decay min(decay, (1 + k) / (10 + k))."""

    def __init__(self, model: nn.Module, decay: float = 0.999) -> None:
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.decay, self.updates = decay, 0

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Move the average towards the parameters of `model`; buffers are copied."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        for mean, value in zip(self.model.parameters(), model.parameters(), strict=True):
            mean.lerp_(value.detach(), 1 - decay)
        for mean, value in zip(self.model.buffers(), model.buffers(), strict=True):
            mean.copy_(value)


@dataclass(frozen=True)
class ImageRun:
    """A trained image model: `average` for sampling, the loss of each step, and the time that a step took."""

    average: nn.Module
    betas: Tensor
    history: list[float] = field(repr=False)
    seconds_per_step: float = 0.0


def train_on_images(
    profile: Profile,
    *,
    draw: Callable[..., Tensor] = shapes,
    steps: int | None = None,
    fast: bool = True,
    seed: int = 0,
) -> ImageRun:
    """Train the U-Net on images from draw(n, generator, size), T = 1000, cosine schedule, on profile.device.

    fast=True is bf16 autocast, channels-last and torch.compile on CUDA (a step counts from the second on, when it is
    compiled); fast=False is eager float32, the baseline to compare with.
    """
    size, batch, widths = profile.choose(smoke=(8, 8, (8, 8)), laptop=(16, 32, (16, 32)), gpu=(32, 256, (64, 128, 128)))
    device, cuda = torch.device(profile.device), profile.device.startswith("cuda")
    betas = make_betas("cosine", 1000).to(device)
    abar = torch.cumprod(1 - betas, 0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = UNet(len(betas), widths=widths).to(device)
    layout = torch.channels_last if fast and cuda else torch.contiguous_format
    model = model.to(memory_format=layout)
    average, clock = Average(model), _Clock(cuda)

    def loss(generator: torch.Generator) -> Tensor:
        x0 = draw(batch, generator, size).to(device, memory_format=layout)
        t = torch.randint(0, len(betas), (batch,), generator=generator).to(device)
        eps = torch.randn(x0.shape, generator=generator).to(device, memory_format=layout)
        return ddpm_loss(model, x0, t, eps, abar)

    def after_step(step: int) -> None:
        average.update(model)
        clock.tick(step)

    steps = steps or profile.choose(smoke=4, laptop=200, gpu=20000)
    options = {"clip": 1.0, "seed": seed, "bf16": fast, "compile": fast, "description": "images"}
    history = fit(model, loss, steps, 4e-4, after_step=after_step, **options)
    return ImageRun(average.model, betas, history, clock.per_step(steps))


def draw_images(
    run: ImageRun, n: int, size: int, *, steps: int | None = None, eta: float = 0.0, seed: int = 0
) -> Tensor:
    """Draw n images (n, 1, size, size), clamped to [-1, 1], in `steps` DDIM steps with eta.

    Without `steps`: in all steps and with eta 1, which is the DDPM sampler.
    """
    generator = torch.Generator().manual_seed(seed)
    start = torch.randn(n, 1, size, size, generator=generator).to(run.betas.device)
    model: Predictor = run.average
    abar = torch.cumprod(1 - run.betas, 0)
    if steps is None:
        steps, eta = len(abar), 1.0
    with torch.inference_mode():
        x = implicit(model, start, abar, ddim_steps(len(abar), steps), ddim_step, eta, generator)
    return x.clamp(-1, 1)


class _Clock:
    """Measures the time of training steps, from the end of the first, in which CUDA compiles."""

    def __init__(self, cuda: bool) -> None:
        self.cuda, self.first, self.last = cuda, 0.0, 0.0

    def tick(self, step: int) -> None:
        if self.cuda and step == 0:
            torch.cuda.synchronize()
        self.last = time.perf_counter()
        self.first = self.last if step == 0 else self.first

    def per_step(self, steps: int) -> float:
        if self.cuda:
            torch.cuda.synchronize()
            self.last = time.perf_counter()
        return (self.last - self.first) / max(1, steps - 1)
