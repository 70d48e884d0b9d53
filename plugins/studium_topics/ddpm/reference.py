"""DDPM in full: the building blocks of the exercises, and images on a GPU.

The functions of the exercises are written in other ways than the solutions, and test_ddpm.py checks them against the
schedulers of diffusers. Around them: 32 x 32 images drawn on the fly, the kits' U-Net, a moving average of its
parameters, bf16 autocast, channels-last memory and torch.compile where there is CUDA, and both samplers. On the CPU
this path runs at tiny size in the tests.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

import torch
import torch.nn.functional as F
from studium import Profile
from torch import Tensor, nn

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


def make_betas(kind: str, T: int) -> Tensor:  # noqa: N803 - the paper's name
    """Return the schedule betas (T,) in float64: "linear" (Ho et al. 2020, section 4), "cosine" (2102.09672, (17))."""
    if kind == "linear":
        return torch.linspace(0.1 / T, 20 / T, T, dtype=torch.float64).clamp(max=0.999)
    left = [math.cos((row / T + 0.008) / 1.008 * math.pi / 2) ** 2 for row in range(T + 1)]
    return torch.tensor([min(0.999, 1 - after / before) for before, after in pairwise(left)], dtype=torch.float64)


def q_sample(x0: Tensor, t: Tensor, eps: Tensor, abar: Tensor) -> Tensor:
    """Return x0 (B, *), noised with eps to the rows t (B,) of abar (T,): Ho et al. 2020, (4)."""
    signal, noise = (share.sqrt()[t].to(x0.dtype).reshape(len(x0), *[1] * (x0.ndim - 1)) for share in (abar, 1 - abar))
    return signal * x0 + noise * eps


def ddpm_loss(model: Callable[[Tensor, Tensor], Tensor], x0: Tensor, t: Tensor, eps: Tensor, abar: Tensor) -> Tensor:
    """Return the mean squared error of the predicted noise: Ho et al. 2020, (14)."""
    return F.mse_loss(model(q_sample(x0, t, eps, abar), t), eps)


def posterior(x0hat: Tensor, xt: Tensor, t: int, betas: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean (B, *) and variance of x_{t-1} given xt and x0hat: precisions of two Gaussians add up."""
    if t == 0:
        return x0hat.clone(), torch.zeros_like(betas[0])
    before = (1 - betas[:t]).prod()
    prior, step = 1 / (1 - before), 1 / betas[t]
    variance = 1 / (prior + (1 - betas[t]) * step)
    return variance * (prior * before.sqrt() * x0hat + step * (1 - betas[t]).sqrt() * xt), variance


def p_step(eps: Tensor, xt: Tensor, t: int, z: Tensor, betas: Tensor, var: float | Tensor) -> Tensor:
    """Return x_{t-1} (B, *) from xt, by the score that eps stands for, with noise z of variance var."""
    score = -eps * (1 - (1 - betas[: t + 1]).prod()).rsqrt()
    x = (xt + betas[t] * score) * (1 - betas[t]).rsqrt()
    return x if t == 0 else x + z * var**0.5


def train(
    model: nn.Module, images: Tensor, betas: Tensor, steps: int, batch: int, lr: float, generator: torch.Generator
) -> list[float]:
    """Train a network on images (N, *) with the kits' loop, all drawn with the generator; return the losses."""
    abar = torch.cumprod(1 - betas, 0)

    def loss(_: torch.Generator) -> Tensor:
        chosen, t = (torch.randint(len(rows), (batch,), generator=generator) for rows in (images, betas))
        x0 = images[chosen]
        return ddpm_loss(model, x0, t, torch.randn(x0.shape, generator=generator), abar)

    return fit(model, loss, steps, lr, schedule="onecycle", quiet=True)


@torch.no_grad()
def sample(
    model: Callable[[Tensor, Tensor], Tensor], shape: tuple[int, ...], betas: Tensor, generator: torch.Generator
) -> Tensor:
    """Return the film (T + 1, n, *) of the DDPM sampler with the posterior's variance: Ho et al. 2020, algorithm 2."""
    film = [torch.randn(shape, generator=generator)]
    for t in range(len(betas) - 1, -1, -1):
        eps = model(film[-1], torch.full(shape[:1], t))
        variance = posterior(film[-1], film[-1], t, betas)[1]
        film.append(p_step(eps, film[-1], t, torch.randn(shape, generator=generator), betas, variance))
    return torch.stack(film)  # in the network's dtype, if that is the wider one


def final_variance(step: Callable[..., Tensor], s2: float, betas: Tensor) -> float:
    """Return the variance that a linear step makes of data N(0, s2) with the ideal network, row by row."""
    abar = torch.cumprod(1 - betas, 0)
    slopes = (1 - abar).sqrt() / (abar * s2 + 1 - abar)
    variance = 1.0
    xt, z = betas.new_tensor([1.0, 0.0]), betas.new_tensor([0.0, 1.0])  # the response to xt, and that to the noise
    for t in range(len(betas) - 1, -1, -1):
        response = step(slopes[t] * xt, xt, t, z, betas, posterior(xt, xt, t, betas)[1])
        variance = float(response.square() @ betas.new_tensor([variance, 1.0]))
    return variance


def clipped_step(eps: Tensor, xt: Tensor, t: int, z: Tensor, betas: Tensor) -> Tensor:
    """Return one DDPM step (B, *) whose guess of x0 is clipped to [-1, 1]."""
    abar = (1 - betas[: t + 1]).prod()
    mean, variance = posterior((abar.rsqrt() * xt - (1 / abar - 1).sqrt() * eps).clamp(-1, 1), xt, t, betas)
    return mean + variance.sqrt() * z


def ddim_steps(T: int, n: int) -> list[int]:  # noqa: N803 - the paper's name
    """Return n of T rows, from the largest to 0, a stride of T // n apart."""
    return list(range(0, n * (T // n), T // n))[::-1]


def ddim_step(eps: Tensor, xt: Tensor, t: int, t_prev: int, abar: Tensor, eta: float, z: Tensor) -> Tensor:
    """Return x at the row t_prev (B, *), -1 for clean data: Song et al. 2020 (2010.02502), (12) with sigma of (16)."""
    now, before = F.pad(abar, (0, 1), value=1.0)[[t, t_prev]]
    sigma = eta * ((1 - before) / (1 - now) * (1 - now / before)).sqrt()
    x0hat = now.rsqrt() * xt - (1 / now - 1).sqrt() * eps
    return before.sqrt() * x0hat + (1 - before - sigma**2).clamp(min=0).sqrt() * eps + sigma * z


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
