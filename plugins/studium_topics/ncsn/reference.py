"""Noise-conditional score networks on any device, with noise drawn where the walkers are.

Song and Ermon 2019 (arXiv 1907.05600), Song and Ermon 2020 (2006.09011). The functions of the exercises follow the
device and dtype of their inputs. `anneal` is the sampler for many walkers: it draws its noise step by step on the
walkers' own device, because the noise of a million walkers and a thousand steps does not fit into memory.
`walkers_per_second` times it, on a CPU or with CUDA, eagerly or compiled.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator

import torch
from studium import Profile
from torch import Tensor, nn

from studium_topics.kits.mixture import Mixture
from studium_topics.kits.training import train

__all__ = [
    "anneal",
    "annealed_langevin",
    "dsm_loss",
    "gmm_score",
    "langevin",
    "mixture_score",
    "settled_variance",
    "sigma_ladder",
    "train_scores",
    "tweedie",
    "walkers_per_second",
]

Score = Callable[[Tensor, Tensor], Tensor]
Step = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


def _column(sigma: Tensor, like: Tensor) -> Tensor:
    """Return sigma (B,) as (B, 1, …, 1) with as many axes as `like` (B, *)."""
    return sigma.reshape(-1, *[1] * (like.ndim - 1))


def gmm_score(x: Tensor, sigma: Tensor, means: Tensor, variances: Tensor, weights: Tensor) -> Tensor:
    """Return the score (B, D) at x (B, D) of means (K, D), variances and weights (K,), noised by sigma (B,)."""
    v = variances + sigma[:, None].square()  # (B, K)
    squared = (x[:, None] - means).square().sum(-1)  # (B, K); expanding it would cancel far away
    logits = weights.log() - squared / (2 * v) - x.shape[-1] / 2 * v.log()
    pull = logits.softmax(-1) / v  # (B, K)
    return pull @ means - pull.sum(-1, keepdim=True) * x


def langevin(score: Callable[[Tensor], Tensor], x: Tensor, step: float | Tensor, noise: Tensor) -> Tensor:
    """Return walkers x (B, *) after the n steps of noise (n, B, *), each of size `step`, on the density of `score`."""
    for z in noise:
        x = x + (0.5 * step) * score(x) + step**0.5 * z
    return x


def sigma_ladder(first: float, last: float, levels: int) -> Tensor:
    """Return `levels` noise levels (L,) in float64, `first` to `last` in equal ratios; a single one is `last`."""
    if levels == 1:
        return torch.tensor([last], dtype=torch.float64)
    return torch.linspace(math.log(first), math.log(last), levels, dtype=torch.float64).exp()


def annealed_langevin(score: Score, x: Tensor, sigmas: Tensor, step: float, noise: Tensor) -> Tensor:
    """Return walkers x (B, *) after steps at each of sigmas (L,), of size `step` at the last; noise (L, n, B, *)."""
    sizes = step * (sigmas / sigmas[-1]).square()
    for sigma, size, draws in zip(sigmas, sizes, noise, strict=True):
        x = langevin(_at_level(score, sigma), x, size, draws)
    return x


def _at_level(score: Score, sigma: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda x: score(x, sigma.expand(len(x)))


def dsm_loss(score: Score, x0: Tensor, sigma: Tensor, z: Tensor) -> Tensor:
    """Return each row's denoising score matching loss (B,) with the weight sigma², for x0, z (B, *), sigma (B,)."""
    level = _column(sigma, x0)
    return 0.5 * (level * score(x0 + level * z, sigma) + z).flatten(1).square().sum(-1)


def train_scores(
    model: nn.Module, images: Tensor, sigmas: Tensor, steps: int, batch: int, lr: float, generator: torch.Generator
) -> list[float]:
    """Train a score network on images (N, *) with the kits' loop, all drawn with the generator; return the losses."""

    def loss(_: torch.Generator) -> Tensor:
        chosen, levels = (torch.randint(len(rows), (batch,), generator=generator) for rows in (images, sigmas))
        x0 = images[chosen]
        return dsm_loss(model, x0, sigmas[levels], torch.randn(x0.shape, generator=generator)).mean()

    return train(model, loss, steps, lr, schedule="onecycle", quiet=True)


def tweedie(x: Tensor, sigma: Tensor, score: Tensor) -> tuple[Tensor, Tensor]:
    """Return the means of clean data and standard noise given x (B, *), noisy by sigma (B,), with score (B, *)."""
    noise = -_column(sigma, x) * score
    return x - _column(sigma, x) * noise, noise


def settled_variance(step: float, variance: float) -> float:
    """Return the variance at which walkers on N(0, variance) settle with steps of size `step`; inf if they explode."""
    return variance / (1 - step / (4 * variance)) if step < 4 * variance else math.inf


def anneal(
    score: Score, x: Tensor, sigmas: Tensor, step: float, steps: int, generator: torch.Generator, compiled: bool = False
) -> Tensor:
    """Return what `annealed_langevin` does with `steps` steps on each level, for any number of walkers x (B, *).

    generator: on the device of x, where the noise is drawn. compiled: fuse each step with torch.compile, with CUDA
    graphs where there is CUDA, because a step of a small model waits for its launch and not for arithmetic.
    """
    take: Step = _fused(score, x.is_cuda) if compiled else _step(score)
    sizes = step * (sigmas / sigmas[-1]).square()
    for sigma, size in zip(sigmas.to(x), sizes.to(x), strict=True):
        for _ in range(steps):
            z = torch.randn(x.shape, dtype=x.dtype, device=x.device, generator=generator)
            x = take(x, sigma, size, z)
    return x


def _step(score: Score) -> Step:
    def take(x: Tensor, sigma: Tensor, size: Tensor, z: Tensor) -> Tensor:
        return x + size / 2 * score(x, sigma.expand(len(x))) + size.sqrt() * z

    return take


def _fused(score: Score, cuda: bool) -> Step:
    compiled = torch.compile(_step(score), mode="reduce-overhead" if cuda else None)
    # the next call of a CUDA graph overwrites the result of the last one
    return (lambda *given: compiled(*given).clone()) if cuda else compiled


def mixture_score(mixture: Mixture, device: str, dtype: torch.dtype = torch.float32) -> Score:
    """Return the exact noisy score of a mixture as a model: score(x, sigma)."""
    means, variances, weights = (
        value.to(device, dtype) for value in (mixture.means, mixture.variances, mixture.weights)
    )
    return lambda x, sigma: gmm_score(x, sigma, means, variances, weights)


def walkers_per_second(
    mixture: Mixture, profile: Profile, counts: tuple[int, ...] | None = None, compiled: bool = False
) -> Iterator[tuple[int, float]]:
    """Yield each number of walkers and how many steps of one walker a second is enough for, on profile.device.

    10 levels, float32; the first run of each size is not timed, because it compiles.
    """
    counts = counts or profile.choose(smoke=(64,), laptop=(2**11, 2**14), gpu=(2**11, 2**14, 2**17, 2**20))
    steps = profile.choose(smoke=2, laptop=20, gpu=100)
    score, sigmas = mixture_score(mixture, profile.device), sigma_ladder(20.0, 1.0, 10)
    for count in counts:
        generator = torch.Generator(profile.device).manual_seed(0)
        start = 16 * torch.rand(count, mixture.dimension, generator=generator, device=profile.device) - 8
        anneal(score, start, sigmas, 0.1, steps, generator, compiled)
        seconds = _seconds(lambda: anneal(score, start, sigmas, 0.1, steps, generator, compiled), profile.device)  # noqa: B023 - called at once
        yield count, count * steps * len(sigmas) / seconds


def _seconds(work: Callable[[], Tensor], device: str) -> float:
    wait = torch.cuda.synchronize if device.startswith("cuda") else lambda: None
    wait()
    begun = time.perf_counter()
    work()
    wait()
    return time.perf_counter() - begun
