"""Rotary positions as one would ship them: both pairings, a cache of angles, every stretching of the speeds, and a GPU.

Su et al. 2021 (arXiv 2104.09864), Chen et al. 2023 (2306.15595), Peng et al. 2023 (2309.00071). Everything follows the
device and dtype of its inputs; angles are float32 at least.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

Pairing = Literal["half", "interleaved"]


def inv_freq(d: int, base: float = 10_000.0) -> Tensor:
    """The speeds base^(−2i/d) of the pairs of a head of width d, in radians a position: (d/2,)."""
    return base ** -(torch.arange(0, d, 2, dtype=torch.float64) / d).float()


def apply_rope(x: Tensor, positions: Tensor, inv: Tensor, pairing: Pairing = "half") -> Tensor:
    """x (B, H, T, d) with each pair turned by its position, (T,) or (B, T), times its speed, (d/2,)."""
    return turned(x, *angles(positions, inv), pairing)


def angles(positions: Tensor, inv: Tensor) -> tuple[Tensor, Tensor]:
    """Cosines and sines (1 or B, 1, T, d/2) of positions (T,) or (B, T): computed once for all layers of a model."""
    angle = positions[..., None].to(inv.device) * inv.to(torch.promote_types(inv.dtype, torch.float32))
    angle = angle[None, None] if positions.ndim == 1 else angle[:, None]
    return angle.cos(), angle.sin()


def turned(x: Tensor, cos: Tensor, sin: Tensor, pairing: Pairing = "half") -> Tensor:
    """x (B, H, T, d) with its pairs turned by angles of these cosines and sines."""
    if pairing == "half":
        first, second = x.chunk(2, -1)
        return torch.cat([first * cos - second * sin, second * cos + first * sin], -1).to(x.dtype)
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack([even * cos - odd * sin, odd * cos + even * sin], -1).flatten(-2).to(x.dtype)


def relative_score(q: Tensor, k: Tensor, offset: Tensor | float, inv: Tensor) -> Tensor:
    """The score of q and k (…, d), pairs of neighbours, with the query `offset` positions ahead of the key."""
    angle = torch.as_tensor(offset, device=inv.device)[..., None] * inv
    (a, b), (c, d) = ((z[..., 0::2], z[..., 1::2]) for z in (q, k))
    return ((a * c + b * d) * angle.cos() + (a * d - b * c) * angle.sin()).sum(-1)


def to_half(weight: Tensor, heads: int) -> Tensor:
    """A projection (H·d, D) whose pairs were neighbours, its rows reordered so that they are halves."""
    return weight.unflatten(0, (heads, -1, 2)).transpose(1, 2).reshape(weight.shape)


def decode_positions(mask: Tensor, new: int) -> Tensor:
    """The positions (B, new) of the last `new` columns of mask (B, L): how many tokens stand before each in its row."""
    return (mask.long().cumsum(-1) - 1)[:, -new:]


def stretched(inv: Tensor, kind: Literal["linear", "ntk"], factor: float) -> Tensor:
    """The speeds (d/2,) of position interpolation, or of the base for which the slowest pair slows down by factor."""
    if kind == "linear":
        return inv / factor
    if kind != "ntk":
        raise ValueError(f"kind needs to be linear or ntk, got {kind!r}")
    steps = torch.linspace(0, 1, len(inv), dtype=torch.float64, device=inv.device)
    return (inv * factor**-steps).to(inv.dtype)


def yarn(inv: Tensor, factor: float, context: int, slow: float = 1.0, fast: float = 32.0) -> tuple[Tensor, float]:
    """YaRN's speeds (d/2,) and gain as the paper has them: the ramp is straight in turns, from slow to fast of them.

    With slow=1 and fast=4 the speeds are those of Llama 3.1, which has no gain.
    """
    keep = ((context * inv / (2 * math.pi) - slow) / (fast - slow)).clamp(0, 1)
    return torch.lerp(inv / factor, inv, keep), 0.1 * math.log(factor) + 1


def yarn_by_index(inv: Tensor, factor: float, context: int, slow: float = 1.0, fast: float = 32.0) -> Tensor:
    """YaRN's speeds as its authors' code and most libraries have them: the ramp is straight in the number of the pair.

    Its ends are the pairs that turn fast and slow times in the context, rounded outwards.
    """
    step = -math.log(float(inv[1]))  # pair i has the speed e^(−i · step)
    low, high = (math.log(context / (2 * math.pi * turns)) / step for turns in (fast, slow))
    low, high = max(math.floor(low), 0), min(math.ceil(high), 2 * len(inv) - 1)
    ramp = ((torch.arange(len(inv), device=inv.device) - low) / max(high - low, 1e-3)).clamp(0, 1)
    return torch.lerp(inv, inv / factor, ramp.to(inv.dtype))


def fused() -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """`turned` as one kernel, which on a GPU reads and writes x once: torch.compile's, compiled at the first call."""
    return torch.compile(turned, dynamic=False)


def bandwidth(turn: Callable[[Tensor, Tensor, Tensor], Tensor], x: Tensor, inv: Tensor, steps: int = 50) -> float:
    """Bytes a second that turning x (B, H, T, d) reads and writes at the least: twice its size over the time."""
    cos, sin = angles(torch.arange(x.shape[-2], device=x.device), inv.to(x.device))
    for _ in range(3):
        turn(x, cos, sin)
    if x.is_cuda:
        torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(steps):
        turn(x, cos, sin)
    if x.is_cuda:
        torch.cuda.synchronize()
    return steps * 2 * x.numel() * x.element_size() / (time.perf_counter() - start)


def precision(position: int, d: int = 128, base: float = 10_000.0) -> dict[str, float]:
    """The largest error of a cosine at a position, by the dtype in which angles are computed."""
    inv = base ** -(torch.arange(0, d, 2, dtype=torch.float64) / d)
    expected = (position * inv).cos()
    errors = {}
    for dtype in (torch.float32, torch.bfloat16):
        angle = torch.tensor(position, dtype=dtype) * inv.to(dtype)
        errors[str(dtype).removeprefix("torch.")] = float((angle.double().cos() - expected).abs().max())
    return errors
