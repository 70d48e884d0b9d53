"""Linformer in miniature: what the spectrum of attention promises, what projected attention keeps, and what it leaks.

All experiments leave the global random state as it was. Their docstrings have what was measured (CPU).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from studium import Claim, Profile
from torch import Tensor

from studium_topics.kits.training import one_thread, train
from studium_topics.linformer.model import Reader, Sizes, attention_weights, full_attention, matrices, truncated
from studium_topics.linformer.probe import measured
from studium_topics.linformer.tasks import CEILING, TASKS, WORDS, Texts, draw

Block = Callable[..., Tensor]
RATE = 3e-3


@dataclass(frozen=True)
class Cost:
    """One task: what the full model's attention matrices keep at each rank, and what projected models reach."""

    full: float  # accuracy
    reader: Reader  # the full model
    ranks: tuple[int, ...]
    kept: tuple[float, ...]  # share of the energy at each rank, mean over texts and heads
    truncated: tuple[float, ...]  # accuracy of the full model with each P replaced by the best one of that rank
    slots: tuple[int, ...]
    projected: tuple[float, ...]  # accuracy of models trained with projections to so many slots
    frozen: float | None  # the same at the most slots, with e and f as they were drawn

    def at(self, slots: int) -> tuple[float, float, float]:
        """Return the kept energy at that rank, and the accuracies of truncated and of projected attention."""
        rank = self.ranks.index(slots)
        return self.kept[rank], self.truncated[rank], self.projected[self.slots.index(slots)]


@dataclass(frozen=True)
class Costs:
    """The costs of all three tasks, by name; names is how many names the texts have."""

    names: int
    tasks: dict[str, Cost]

    @property
    def most(self) -> int:
        """The most slots that were tried, as many as there are names."""
        return self.tasks[TASKS[0]].slots[-1]

    def projected(self, task: str) -> float:
        """Return the accuracy of projected attention with the most slots."""
        return self.tasks[task].projected[-1]

    @property
    def promise(self) -> float:
        """The largest distance between the accuracies of truncated and projected attention, fixed places."""
        cost = self.tasks["fixed places"]
        return max(abs(truncated - projected) for _, truncated, projected in map(cost.at, cost.slots))

    @property
    def spectra_apart(self) -> float:
        """The largest distance between the kept energies of the two look-up tasks, over the ranks."""
        fixed, moving = (self.tasks[task].kept for task in TASKS[1:])
        return max(abs(a - b) for a, b in zip(fixed, moving, strict=True))


@one_thread()
def costs(encode: Block, random_projection: Block, kept_energy: Block, *, profile: Profile, seed: int = 0) -> Costs:
    """Train full and projected readers on each task, all else equal, and cut the full ones to a rank afterwards."""
    length = profile.choose(smoke=32, laptop=128, gpu=512)
    slots = profile.choose(smoke=(4, 8), laptop=(8, 16, 32), gpu=(32, 64, 128))
    found = {}
    for task in TASKS:
        sizes = [Sizes(length, count) for count in (0, *slots)]
        readers = [Reader(each, encode, random_projection, seed=seed).to(profile.device) for each in sizes]
        frozen = None
        if task != "any order":
            frozen = Reader(sizes[-1], encode, random_projection, seed=seed).to(profile.device)
            for block in frozen.blocks:
                block.e.requires_grad_(False)
                block.f.requires_grad_(False)
        for reader in (*readers, *([frozen] if frozen else [])):
            fit(reader, task, profile=profile, seed=seed)
        found[task] = _cost(task, readers, frozen, kept_energy, profile, seed)
    return Costs(length // 4, found)


def _cost(
    task: str, readers: list[Reader], frozen: Reader | None, kept_energy: Block, profile: Profile, seed: int
) -> Cost:
    full, *projected = readers
    length = full.sizes.length
    few, many = (unseen(task, count, profile, seed) for count in (16, 64))
    weights = torch.cat([part.flatten(0, 1) for part in matrices(full, few)[0]]).cpu()
    ranks = tuple(2**power for power in range(length.bit_length()) if 2**power <= length // 2)
    cut = []
    for rank in ranks:
        full.attend = truncated(rank)
        cut.append(accuracy(full, few))
    full.attend = full_attention
    return Cost(
        full=accuracy(full, many),
        reader=full,
        ranks=ranks,
        kept=tuple(float(kept_energy(weights, rank).mean()) for rank in ranks),
        truncated=tuple(cut),
        slots=tuple(reader.sizes.slots for reader in projected),
        projected=tuple(accuracy(reader, many) for reader in projected),
        frozen=accuracy(frozen, many) if frozen else None,
    )


def fit(reader: Reader, task: str, *, profile: Profile, seed: int) -> list[float]:
    """Train a reader on texts of a task, the same ones for every reader of a seed, and return the losses."""
    batch = profile.choose(smoke=4, laptop=16, gpu=64)

    def loss(generator: torch.Generator) -> Tensor:
        texts = draw(task, batch, reader.sizes.length, generator).to(profile.device)
        return F.cross_entropy(reader(texts).flatten(0, 1), texts.answers.flatten())

    return train(reader, loss, _steps(profile), RATE, schedule="onecycle", seed=seed, bf16=True, quiet=True)


def _steps(profile: Profile) -> int:
    return int(profile.choose(smoke=8, laptop=200, gpu=600))


def unseen(task: str, count: int, profile: Profile, seed: int) -> Texts:
    """Return texts that no training run has seen."""
    length = profile.choose(smoke=32, laptop=128, gpu=512)
    return draw(task, count, length, torch.Generator().manual_seed(10_000 + seed)).to(profile.device)


@torch.no_grad()
def accuracy(reader: Reader, texts: Texts) -> float:
    """Return how many of the gaps a reader fills with the right word."""
    return float((reader(texts).argmax(-1) == texts.answers)[texts.answers >= 0].double().mean())


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
    """Project the attention of random queries and keys, in double precision."""
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

    @staticmethod
    def growth(pairs: tuple[tuple[float, float], ...]) -> tuple[float, float]:
        """Return by what power of the length full and projected attention grow, from the first length to the last."""
        doublings = len(pairs) - 1
        return tuple(math.log2(last / first) / doublings for first, last in zip(pairs[0], pairs[-1], strict=True))  # type: ignore[return-value]


@one_thread()
@torch.no_grad()
def scaling(linformer_attention: Block, multiplications: Block, *, profile: Profile, seed: int = 0) -> Scaling:
    """Measure both at lengths that double, for 2 heads of width 32 and 64 slots."""
    lengths = profile.choose(smoke=(64, 128), laptop=(256, 512, 1024, 2048), gpu=(1024, 2048, 4096, 8192, 16384))
    heads, width, slots = 2, 32, profile.choose(smoke=16, laptop=64, gpu=128)
    generator = torch.Generator().manual_seed(seed)
    counted, largest, seconds = [], [], []
    for length in lengths:
        q, k, v = (torch.randn(1, heads, length, width, generator=generator).to(profile.device) for _ in range(3))
        e, f = ((torch.randn(slots, length, generator=generator) / slots**0.5).to(profile.device) for _ in range(2))
        ways = (
            lambda q=q, k=k, v=v: attention_weights(q, k) @ v,
            lambda q=q, k=k, v=v, e=e, f=f: linformer_attention(q, k, v, e, f, None),
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


@dataclass(frozen=True)
class Leaks:
    """What reaches a token from later ones. tables (n, n): how far row i moves when token j changes."""

    tables: dict[str, Tensor]
    losses: dict[str, float]  # of models that predict the next of random words, nats a word
    floor: float  # no causal model has less

    def above(self, name: str) -> float:
        """Return the largest influence of a later token."""
        return float(self.tables[name].triu(1).max())


LEAKY, BLOCKS = "projected, masked", "blocks that have ended"


@one_thread()
def leaks(
    encode: Block,
    random_projection: Block,
    influence: Block,
    causal_summaries: Block,
    *,
    profile: Profile,
    seed: int = 0,
) -> Leaks:
    """Look for the future in three kinds of causal attention, and train the last two to predict random words."""
    length, slots = profile.choose(smoke=(16, 4), laptop=(64, 16), gpu=(64, 16))
    generator = torch.Generator().manual_seed(seed)
    x, noise = torch.randn(2, length, 16, generator=generator, dtype=torch.float64)
    e, f = torch.randn(2, slots, length, generator=generator, dtype=torch.float64) / slots**0.5
    summary = torch.full((length // slots,), slots / length, dtype=torch.float64)
    ways = {
        "full, masked": lambda x: F.scaled_dot_product_attention(x, x, x, is_causal=True),
        LEAKY: lambda x: masked_slots(x, x, x, e, f),
        BLOCKS: lambda x: causal_summaries(x, x, x, summary, summary),
    }
    tables = {name: influence(lambda x, way=way: way(x[None, None])[0, 0], x, noise) for name, way in ways.items()}
    ways = {LEAKY: masked_slots, BLOCKS: causal_summaries}
    losses = {name: _next_word(name, way, encode, random_projection, profile, seed) for name, way in ways.items()}
    return Leaks(tables, losses, math.log(WORDS))


def masked_slots(q: Tensor, k: Tensor, v: Tensor, e: Tensor, f: Tensor) -> Tensor:
    """Return projected attention with a mask that looks causal: query i sees the slots s with s · n / slots ≤ i."""
    slots, length = e.shape
    place = torch.arange(length, device=q.device)
    mask = torch.arange(slots, device=q.device) * length // slots <= place[:, None]
    return F.scaled_dot_product_attention(q, e @ k, f @ v, attn_mask=mask)


def _next_word(name: str, way: Block, encode: Block, random_projection: Block, profile: Profile, seed: int) -> float:
    """Train a reader to predict the next of words drawn at random, and return its loss on unseen ones."""
    length, slots = profile.choose(smoke=(16, 4), laptop=(128, 32), gpu=(128, 32))
    batch = profile.choose(smoke=4, laptop=16, gpu=64)
    reader = Reader(Sizes(length, slots), encode, random_projection, seed=seed)
    block = reader.blocks[0]
    if name == BLOCKS:
        block.e, block.f = (torch.nn.Parameter(torch.full((length // slots,), slots / length)) for _ in range(2))
    reader.attend = lambda q, k, v, pad: way(q, k, v, block.e, block.f)
    reader.to(profile.device)

    def loss(generator: torch.Generator, batch: int = batch) -> Tensor:
        words = torch.randint(WORDS, (batch, length + 1), generator=generator).to(profile.device)
        texts = Texts(torch.zeros_like(words[:, 1:]), words[:, :-1], words[:, 1:])
        return F.cross_entropy(reader(texts).flatten(0, 1), texts.answers.flatten())

    train(reader, loss, _steps(profile), RATE, schedule="onecycle", seed=seed, quiet=True)
    with torch.no_grad():
        return float(loss(torch.Generator().manual_seed(10_000 + seed), 64))
