"""Classifier-free guidance as one would ship it, and what a guided step costs on a GPU.

Ho and Salimans 2022 (arXiv 2207.12598), Lin et al. 2023 (2305.08891), Kynkäänniemi et al. 2024 (2404.07724); scale s in
the convention of Imagen and diffusers. Everything follows the device and the dtype of its inputs.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from studium_topics.cfg.network import NULL, DigitDenoiser
from studium_topics.cfg.sampling import Step

Model = Callable[[Tensor, Tensor, Tensor], Tensor]


def drop_labels(y: Tensor, p: float, null: int, generator: torch.Generator) -> Tensor:
    """Return the labels y (B,), each replaced by `null` with probability p; the generator is on the device of y."""
    chances = torch.full(y.shape, float(p), device=y.device)
    return y.masked_fill(torch.bernoulli(chances, generator=generator).bool(), null)


def cfg_combine(eps_u: Tensor, eps_c: Tensor, scale: float, convention: Literal["s", "w"] = "s") -> Tensor:
    """Return the guided prediction (B, *): at eps_u for s = 0, and at eps_c for s = 1, which is w = 0."""
    if convention not in ("s", "w"):
        raise ValueError(f'convention needs to be "s" or "w", got {convention!r}')
    return torch.lerp(eps_u, eps_c, scale + (convention == "w"))


def cfg_eps(model: Model, x: Tensor, t: Tensor, y: Tensor, null: int, s: float) -> Tensor:
    """Return the guided prediction (B, *) by one call of the model on 2 B rows, or on B rows where s is 1."""
    if s == 1:
        return model(x, t, y)
    eps_u, eps_c = model(torch.cat([x, x]), torch.cat([t, t]), torch.cat([torch.full_like(y, null), y])).chunk(2)
    return cfg_combine(eps_u, eps_c, s)


def cfg_sample(model: Model, step: Step, x: Tensor, y: Tensor, null: int, scales: Sequence[float]) -> Tensor:
    """Return the samples (B, *) that guidance makes of noise x, with the scale of each t in `scales`."""
    for t in reversed(range(len(scales))):
        x = step(cfg_eps(model, x, torch.full_like(y, t), y, null, scales[t]), x, t)
    return x


@torch.no_grad()
def sample_digits(
    model: Model, y: Tensor, null: int, scales: Sequence[float], abar: Tensor, generator: torch.Generator
) -> Tensor:
    """Return the film (T + 1, B, 1, 8, 8) of guided DDPM with x0 kept in [-1, 1]; noise from the CPU `generator`."""
    noise = partial(torch.randn, len(y), 1, 8, 8, generator=generator)
    signal, film = torch.cat([abar.new_ones(1), abar]), [noise().to(y.device)]  # signal[t] is before the step t

    def step(eps: Tensor, x: Tensor, t: int) -> Tensor:
        before, now = signal[t], signal[t + 1]
        x0 = ((x - (1 - now).sqrt() * eps) / now.sqrt()).clamp(-1, 1)
        weight = (now / before).sqrt() * (1 - before) / (1 - now)  # of x_t in the posterior's mean
        mean = weight * x + (before.sqrt() - weight * now.sqrt()) * x0
        deviation = ((1 - before) * (1 - now / before) / (1 - now)).sqrt()
        film.append(mean + deviation * noise().to(x.device))
        return film[-1]

    cfg_sample(model, step, film[0], y, null, scales)
    return torch.stack(film)


def final_variances(s: float, wide: float, narrow: float) -> tuple[float, float]:
    """Return the variances (DDPM, DDIM) for data N(0, wide), N(0, narrow) given the label, and infinitely many steps.

    With tau = sigma^2 and the guided score -g x, g = s / (narrow + tau) + (1 - s) / (wide + tau), the variances solve
    dV/dtau = 2 g V - 1 and dV/dtau = g V, with V near tau at infinity. s is not 1/2.
    """
    log_ratio = math.log(wide / narrow)
    ddim = narrow * math.exp(-(s - 1) * log_ratio)
    integral = math.expm1((2 * s - 1) * log_ratio) / ((2 * s - 1) * (wide - narrow))
    return ddim**2 * integral, ddim


def interval_scales(s: float, abar: Tensor, low: float, high: float) -> list[float]:
    """Return a scale for each t: s where low < sigma_t <= high, and 1 at other noise levels."""
    sigmas = ((1 - abar) / abar).sqrt().tolist()  # all at once: reading one at a time waits for the GPU
    return [s if low < sigma <= high else 1.0 for sigma in sigmas]


def rescale(eps: Tensor, eps_c: Tensor, phi: float) -> Tensor:
    """Return the guided eps (B, *), brought towards each example's standard deviation of eps_c by the share phi."""
    wide, goal = (e.flatten(1).std(1).view(-1, *[1] * (e.ndim - 1)) for e in (eps, eps_c))
    return eps * torch.lerp(torch.ones_like(wide), goal / wide, phi)


def threshold(x0: Tensor, quantile: float = 0.995) -> Tensor:
    """Return x0 (B, *) after Imagen's dynamic thresholding: clipped to a quantile of |x0| of each example, at least 1,
    and divided by it (arXiv 2205.11487, section 2.3)."""
    reach = x0.flatten(1).abs().quantile(quantile, 1).clamp(min=1).view(-1, *[1] * (x0.ndim - 1))
    return x0.clamp(-reach, reach) / reach


@torch.no_grad()
def graphed(model: DigitDenoiser, batch: int, s: float) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """Return `cfg_eps` of `batch` digits as one CUDA graph, whose launches are recorded once and then replayed.

    The answer is overwritten by the next call.
    """
    device = next(model.parameters()).device
    held = torch.zeros(batch, 1, 8, 8, device=device), *(torch.zeros(2, batch, dtype=torch.long, device=device))
    stream = torch.cuda.Stream(device)
    with torch.cuda.stream(stream):
        for _ in range(3):  # a graph must not record what happens at a first call
            cfg_eps(model, *held, NULL, s)
    torch.cuda.current_stream(device).wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        eps = cfg_eps(model, *held, NULL, s)

    def replay(*given: Tensor) -> Tensor:
        for place, value in zip(held, given, strict=True):
            place.copy_(value)
        graph.replay()
        return eps

    return replay


def step_seconds(model: DigitDenoiser, batch: int, *, steps: int = 50, s: float = 3.0) -> dict[str, float]:
    """Return the seconds of one prediction of `batch` digits: conditional, guided by two calls, and by one of 2 B rows.

    On CUDA in bfloat16 autocast, after three calls to warm up.
    """
    device = next(model.parameters()).device
    x = torch.randn(batch, 1, 8, 8, device=device)
    t, y = torch.full((batch,), 50, device=device), torch.arange(batch, device=device) % 10

    def two_calls() -> Tensor:
        return cfg_combine(model(x, t, torch.full_like(y, NULL)), model(x, t, y), s)

    ways = {
        "conditional": lambda: cfg_eps(model, x, t, y, NULL, 1.0),
        "two calls": two_calls,
        "one call of 2 B": lambda: cfg_eps(model, x, t, y, NULL, s),
    }
    with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
        return {name: _seconds(way, device, steps) for name, way in ways.items()}


def _seconds(way: Callable[[], Tensor], device: torch.device, steps: int) -> float:
    for _ in range(3):
        way()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    start = time.perf_counter()
    for _ in range(steps):
        way()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return (time.perf_counter() - start) / steps
