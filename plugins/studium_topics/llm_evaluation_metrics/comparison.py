"""Four tiny language models on one benchmark: a base, its twin from another seed, a short run, and one that cheated.

All models have the same size and see the same text; the leaked one also sees half of the benchmark while it trains.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch
import torch.nn.functional as F
from studium import Profile
from tokenizers import Tokenizer
from torch import Tensor

from studium_topics.kits import text
from studium_topics.kits.tiny_lm import TinyLM, base_model
from studium_topics.kits.training import one_thread, train
from studium_topics.llm_evaluation_metrics.items import Choice, Model, Writing, choice_items, writing_items

Rank = Callable[..., Tensor]
Interval = Callable[..., tuple[float, float, float]]

VOCABULARY, CONTEXT, LENGTHS = 512, 24, (3, 12)
STRETCH = CONTEXT + LENGTHS[1]
NORMALISERS = ("sum", "per token", "per byte")
SIZES = (25, 50, 100, 200, 400, 800)
NAMES = ("base", "twin", "short", "leaked")


@cache
def prose() -> tuple[str, str]:
    """Return the prose of Python's help with single spaces: the first four fifths, and the rest that is held out."""
    whole = " ".join(text.prose().split())
    cut = len(whole) * 4 // 5
    return whole[:cut], whole[cut:]


@cache
def tokeniser(size: int = VOCABULARY) -> Tokenizer:
    """Return the byte-pair tokeniser with `size` tokens, trained on the training text."""
    return text.byte_pair_tokenizer(prose()[0], size)


@cache
def ids() -> tuple[Tensor, Tensor]:
    """Return the tokens (N,) of the training text, and those of the held-out text."""
    train_text, held_out = (torch.tensor(tokeniser().encode(part).ids) for part in prose())
    return train_text, held_out


def size_in_bytes(tokens: Tensor) -> int:
    """Return how many bytes of UTF-8 the tokens (L,) spell; every byte of the prose is a character of its own."""
    return len(tokeniser().decode(tokens.tolist()).encode())


def benchmark(count: int, seed: int, lengths: tuple[int, int] = LENGTHS) -> list[Choice]:
    """Return `count` items to rank, from stretches of the held-out text that do not overlap."""
    return choice_items(_stretches(count, seed), size_in_bytes, context=CONTEXT, lengths=lengths, seed=seed)


def writing_task(count: int, seed: int) -> list[Writing]:
    """Return `count` items to complete by two tokens, with 20 samples and pass@5."""
    return writing_items(_stretches(count, seed + 1), context=CONTEXT, length=2, samples=20, k=5, seed=seed)


def _stretches(count: int, seed: int) -> list[Tensor]:
    rows = ids()[1].unfold(0, STRETCH, STRETCH)  # (all, STRETCH)
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))
    return list(rows[order[:count]])


@cache
def trained_models(profile: Profile, seed: int) -> dict[str, TinyLM]:
    """Return the four models by name; base and leaked start from the same weights."""
    steps, count = profile.choose(smoke=4, laptop=160, gpu=240), _count(profile)
    leaked = torch.stack(_stretches(count, seed)[: count // 2])
    made = {}
    for name in NAMES:
        start = 1000 * seed + (name == "twin")
        model = base_model(VOCABULARY, seed=start).to(profile.device)
        rows = leaked if name == "leaked" else None
        train(
            model, _loss(model, rows), steps // 3 if name == "short" else steps, 4e-3, schedule="onecycle", seed=start
        )
        made[name] = model.eval()
    return made


def _loss(model: TinyLM, leaked: Tensor | None) -> Callable[[torch.Generator], Tensor]:
    device = next(model.parameters()).device

    def loss(generator: torch.Generator) -> Tensor:
        inputs, labels = text.next_token_batch(ids()[0], 16, 48, generator)
        total = F.cross_entropy(model(inputs.to(device)).flatten(0, 1), labels.to(device).flatten())
        if leaked is not None:
            rows = leaked[torch.randint(len(leaked), (8,), generator=generator)].to(device)
            total = total + 0.5 * F.cross_entropy(model(rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten())
        return total

    return loss


def _count(profile: Profile) -> int:
    return profile.choose(smoke=24, laptop=300, gpu=800)


@dataclass(frozen=True)
class Comparison:
    """What the models did on the items, and how many items it takes to tell two of them apart."""

    hits: dict[str, Tensor]  # name to (N, 3), 1 where the item is right, for each normaliser
    equal: Tensor  # (M, 3) of the base, on items whose choices have the same number of tokens
    lead: dict[str, tuple[float, float, float]]  # of each model over the base, per token, with its interval
    sizes: tuple[int, ...]  # of benchmarks that were drawn from the items
    decided: dict[str, list[float]]  # the share of benchmarks of each size whose interval leaves out 0

    def score(self, name: str, normaliser: str) -> float:
        """Return the share of right answers of a model."""
        return float(self.hits[name][:, NORMALISERS.index(normaliser)].mean())

    def gain(self, hits: Tensor | None = None) -> float:
        """Return what ranking per token gains over ranking by the sum, for the base."""
        share = (self.hits["base"] if hits is None else hits).mean(0)
        return float(share[1] - share[0])

    def leak(self, half: int) -> float:
        """Return the lead of the leaked model over the base on half 0, which it has seen, or half 1."""
        gap = (self.hits["leaked"] - self.hits["base"])[:, 1]
        return float(gap.chunk(2)[half].mean())

    @property
    def narrowing(self) -> float:
        """The width of the paired interval of `short` as a share of the width without pairing."""
        spread = [hits[:, 1].var() / len(hits) for hits in (self.hits["base"], self.hits["short"])]
        _, low, high = self.lead["short"]
        return (high - low) / float(2 * 1.96 * sum(spread) ** 0.5)


@one_thread()
@torch.no_grad()
def comparison(choice_logprobs: Rank, paired_interval: Interval, *, profile: Profile, seed: int = 0) -> Comparison:
    """Rank the items with four models, and draw benchmarks of several sizes from the items with replacement.

    choice_logprobs(model, context, choices) and paired_interval(a, b, score, draws, generator) are the exercises'.
    Measured at laptop, seed 0, about 31 s of CPU time: base 34.7 % by the sum, 44.3 % per token, 35.0 % per byte; the
    twin leads by 1.7 points [-2.3, 5.7], short by -13.3 [-19.3, -7.0]; the leaked model leads by 14.7 points on the
    half that it saw and by -7.3 on the other; three of four benchmarks of 100 items find the short run. Seeds 0, 1 and
    2: gains per token over the sum of 9.7, 11.7 and 13.0 points; leads on the seen half 22, 26 and 18 points above
    those on the other; paired intervals of 0.80, 0.85 and 0.73 times the width of the unpaired ones; all benchmarks of
    800 items find the short run.
    """
    with torch.enable_grad():
        models = trained_models(profile, seed)
    items, generator = benchmark(_count(profile), seed), torch.Generator().manual_seed(seed)
    hits = {name: _hits(choice_logprobs, model, items, profile) for name, model in models.items()}
    equal = benchmark(profile.choose(smoke=12, laptop=100, gpu=400), seed, (7, 7))
    columns = {name: torch.stack([right[:, 1], torch.ones(len(right))], 1).double() for name, right in hits.items()}

    def lead(name: str, rows: Tensor, draws: int) -> tuple[float, float, float]:
        a, b = columns["base"][rows], columns[name][rows]
        return paired_interval(a, b, lambda sums: sums[0] / sums[1], draws, generator)

    everything, sizes = torch.arange(len(items)), profile.choose(smoke=(12, 24), laptop=SIZES, gpu=SIZES)
    times = profile.choose(smoke=3, laptop=40, gpu=100)
    decided = {}
    for name in ("twin", "short"):
        decided[name] = [
            _share_decided(
                [lead(name, torch.randint(len(items), (n,), generator=generator), 200) for _ in range(times)]
            )
            for n in sizes
        ]
    leads = {name: lead(name, everything, 1000) for name in NAMES[1:]}
    return Comparison(hits, _hits(choice_logprobs, models["base"], equal, profile), leads, sizes, decided)


def _share_decided(leads: list[tuple[float, float, float]]) -> float:
    return sum(low > 0 or high < 0 for _, low, high in leads) / len(leads)


def _hits(choice_logprobs: Rank, model: Model, items: list[Choice], profile: Profile) -> Tensor:
    """Return (N, 3): whether the right choice is first by the sum, per token and per byte."""
    rows = []
    for item in items:
        context, choices = item.context.to(profile.device), [choice.to(profile.device) for choice in item.choices]
        scores = choice_logprobs(model, context, choices).cpu()
        lengths, sizes = torch.tensor([len(choice) for choice in choices]), torch.tensor(item.sizes)
        rows.append([int(values.argmax()) == item.answer for values in (scores, scores / lengths, scores / sizes)])
    return torch.tensor(rows).float()
