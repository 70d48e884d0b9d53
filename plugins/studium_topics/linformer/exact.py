"""What needs no training: the error of a random projection, and how attention grows with the length of a text."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from studium import Profile
from torch import Tensor

from studium_topics.kits.training import one_thread
from studium_topics.linformer.model import attention_weights
from studium_topics.linformer.probe import measured

Block = Callable[..., Tensor]


@dataclass(frozen=True)
class Errors:
    """How well a projection to k rows keeps P V, for attention of three sharpnesses. Errors are relative to P V."""

    sharpness: tuple[float, ...]  # what the scores are multiplied by
    slots: tuple[int, ...]
    best: tuple[tuple[float, ...], ...]  # by sharpness, then slots: P replaced by the best matrix of that rank
    drawn: tuple[tuple[float, ...], ...]  # P Eᵀ E V with random E, root of the mean square over the draws
    predicted: tuple[tuple[float, ...], ...]  # the same from the formula
    weights: tuple[Tensor, ...]  # P (n, n) of each sharpness

    @property
    def ratio(self) -> tuple[float, float]:
        """The smallest and the largest measured error, divided by the predicted one."""
        pairs = zip(sum(self.drawn, ()), sum(self.predicted, ()), strict=True)
        ratios = [drawn / predicted for drawn, predicted in pairs]
        return min(ratios), max(ratios)

    @property
    def advantage(self) -> float:
        """The smallest ratio of the random projection's error to the best one's."""
        return min(drawn / max(best, 1e-9) for drawn, best in zip(sum(self.drawn, ()), sum(self.best, ()), strict=True))

    @property
    def slope(self) -> float:
        """The slope of log error over log slots between the fewest and the most, farthest from -1/2 of the three."""
        span = math.log(self.slots[-1] / self.slots[0])
        slopes = [math.log(row[-1] / row[0]) / span for row in self.drawn]
        return max(slopes, key=lambda slope: abs(slope + 0.5))


@one_thread()
@torch.no_grad()
def errors(random_projection: Block, *, profile: Profile, seed: int = 0) -> Errors:
    """Project the attention of random queries and keys, in double precision.

    Measured at laptop, seeds 0 to 4, under 1 s each: measured over predicted error .932 to 1.038, at least 4.76 times
    the best one's; with 128 slots for 256 tokens and soft scores 1.37 to 1.57 times P V, where the best matrix has
    .041 to .045. Kept energy at rank 32 for the three sharpnesses .977 to .980, .822 to .835, .653 to .664.
    """
    length = profile.choose(smoke=64, laptop=256, gpu=1024)
    draws = profile.choose(smoke=40, laptop=60, gpu=200)
    slots = tuple(length // part for part in (32, 16, 8, 4, 2))
    generator = torch.Generator().manual_seed(seed)
    q, k, v = torch.randn(3, length, 32, generator=generator, dtype=torch.float64)
    sharpness = (0.5, 1.0, 2.0)
    weights = tuple(attention_weights(q * sharp, k) for sharp in sharpness)
    best, drawn, predicted = [], [], []
    for p in weights:
        exact = p @ v
        left, values, right = torch.linalg.svd(p)
        cuts = [left[:, :rank] * values[:rank] @ right[:rank] @ v for rank in slots]
        best.append(tuple(float((cut - exact).norm() / exact.norm()) for cut in cuts))
        squares = [
            [_square(p, v, random_projection(rank, length, generator).double()) for _ in range(draws)] for rank in slots
        ]
        drawn.append(tuple(math.sqrt(sum(row) / draws) for row in squares))
        noise = 1 + float(p.square().sum() * v.square().sum() / exact.square().sum())
        predicted.append(tuple(math.sqrt(noise / rank) for rank in slots))
    return Errors(sharpness, slots, tuple(best), tuple(drawn), tuple(predicted), weights)


def _square(p: Tensor, v: Tensor, e: Tensor) -> float:
    exact = p @ v
    return float(((p @ e.T) @ (e @ v) - exact).square().sum() / exact.square().sum())


@dataclass(frozen=True)
class Scaling:
    """Full and projected attention of one text at several lengths: counts, and CPU time in seconds."""

    lengths: tuple[int, ...]
    slots: int
    multiplications: tuple[tuple[int, int], ...]  # (full, projected), counted
    predicted: tuple[tuple[int, int], ...]
    largest: tuple[tuple[int, int], ...]  # numbers in the largest tensor
    seconds: tuple[tuple[float, float], ...]

    def saved(self, times: int) -> float:
        """Return how many times smaller the largest tensor is with slots, at a length of so many times the slots."""
        full, projected = self.largest[self.lengths.index(times * self.slots)]
        return full / projected

    @staticmethod
    def growth(pairs: tuple[tuple[float, float], ...]) -> tuple[float, float]:
        """Return by what power of the length full and projected attention grow, from the first length to the last."""
        doublings = len(pairs) - 1
        return tuple(math.log2(last / first) / doublings for first, last in zip(pairs[0], pairs[-1], strict=True))  # type: ignore[return-value]


@one_thread()
@torch.no_grad()
def scaling(linformer_attention: Block, multiplications: Block, *, profile: Profile, seed: int = 0) -> Scaling:
    """Measure both at lengths that double, for 2 heads of width 32 and 64 slots, in about 2 s of CPU time at laptop."""
    lengths = profile.choose(
        smoke=(64, 128, 256, 512), laptop=(256, 512, 1024, 2048), gpu=(1024, 2048, 4096, 8192, 16384)
    )
    heads, width, slots = 2, 32, profile.choose(smoke=16, laptop=64, gpu=128)
    generator = torch.Generator().manual_seed(seed)
    counted, largest, seconds = [], [], []
    for length in lengths:
        q, k, v = (torch.randn(1, heads, length, width, generator=generator).to(profile.device) for _ in range(3))
        to_keys, to_values = (
            (torch.randn(slots, length, generator=generator) / slots**0.5).to(profile.device) for _ in range(2)
        )
        ways = (
            lambda q=q, k=k, v=v: attention_weights(q, k) @ v,
            lambda parts=(q, k, v, to_keys, to_values): linformer_attention(*parts, None),
        )
        meters = [measured(way) for way in ways]
        counted.append(tuple(meter[0] for meter in meters))
        largest.append(tuple(meter[1] for meter in meters))
        seconds.append(tuple(_seconds(way) for way in ways))
    predicted = tuple(tuple(multiplications(heads, length, width, slots)) for length in lengths)
    return Scaling(lengths, slots, tuple(counted), predicted, tuple(largest), tuple(seconds))


def _seconds(way: Callable[[], Tensor], repeats: int = 5) -> float:
    """Return the least CPU time of several calls."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        way()
        times.append(time.process_time() - start)
    return max(min(times), 1e-6)
