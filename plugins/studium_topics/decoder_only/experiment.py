"""Two things that made decoders: they copy from their context, and they read more than the last character.

Induction (Olsson et al. 2022, arXiv 2209.11895): random tokens, repeated once. Nothing but the context says what comes
next in the second half. A model with one layer of attention cannot find out; one with two layers can.

Prose: a small Llama on the texts of Python's own help, against the table of all pairs of characters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from studium import Claim, Profile
from torch import Tensor

from studium_topics.decoder_only.model import Copier, Sizes, fresh_checkpoint
from studium_topics.decoder_only.rotary import rotate
from studium_topics.kits import text
from studium_topics.kits.training import one_thread, train

Block = Callable[..., Tensor]
VOCABULARY = 32
SHORTEST, LONGEST, LENGTH = 8, 24, 48
HALF = LENGTH // 2
FIXED = 16
WIDE = 88  # one layer of this width has 36 784 parameters, two of width 64 have 37 056


def repeated(batch: int, generator: torch.Generator, period: int | None = None, device: str = "cpu") -> Tensor:
    """Return random tokens that start again after 8 to 24, drawn for each row, or after `period`: ids (batch, 48)."""
    fresh = torch.randint(VOCABULARY, (batch, LONGEST), generator=generator)
    drawn = torch.randint(SHORTEST, LONGEST + 1, (batch, 1), generator=generator)
    periods = drawn if period is None else torch.full_like(drawn, period)
    return fresh.gather(1, torch.arange(LENGTH) % periods).to(device)


@torch.no_grad()
def copying(model: Copier, ids: Tensor) -> float:
    """Return how often the likeliest token is right in the second half of ids (B, 48), where all is repetition."""
    guess = model(ids)[:, HALF - 1 : -1].argmax(-1)
    return float((guess == ids[:, HALF:]).double().mean())


@dataclass(frozen=True)
class Run:
    """One trained model: its accuracy on the second half, its losses, each head's induction score (layers, heads)."""

    model: Copier
    accuracy: float
    losses: list[float]
    scores: Tensor


@dataclass(frozen=True)
class Induction:
    """Two layers and two models of one layer on random periods, and one layer on a period that never changes.

    wide: one layer with as many parameters as the two layers have. silenced: the accuracy of the two layers without
    the second layer's induction heads.
    """

    two: Run
    one: Run
    wide: Run
    fixed: Run
    silenced: float

    @property
    def score(self) -> float:
        """The highest induction score of a head in the second of the two layers."""
        return float(self.two.scores[1].max())


@one_thread()
def induction(
    rmsnorm: Block, causal_attention: Block, lm_loss: Block, induction_score: Block, *, profile: Profile, seed: int = 0
) -> Induction:
    """Train decoders of attention alone on repeated tokens; the loss counts what can be known, the second half.

    Measured at laptop on one thread, seeds 0 to 5: two layers .990 to .992, one layer .186 .182 .189 .184 .186 .181,
    one wide layer .192 .187 .193 .187 .191 .187, one layer with a fixed period .972 to .994; the best induction score
    .850 to .895 (in layer 0 at most .034), and .028 to .032, which is chance, without the heads that have it.
    """
    steps = profile.choose(smoke=20, laptop=400, gpu=2000)
    batch = profile.choose(smoke=16, laptop=32, gpu=256)

    def fit(name: str, sizes: Sizes, period: int | None = None) -> Run:
        model = Copier(sizes, rmsnorm=rmsnorm, causal_attention=causal_attention, seed=seed).to(profile.device)

        def loss(generator: torch.Generator) -> Tensor:
            ids = repeated(batch, generator, period, profile.device)
            return lm_loss(model(ids), F.pad(ids[:, HALF:], (HALF, 0), value=-100))

        losses = train(model, loss, steps, 1e-2, schedule="onecycle", clip=1.0, seed=seed, description=name)
        test = torch.Generator().manual_seed(1000 + seed)
        rows = profile.choose(smoke=100, laptop=1000, gpu=5000)
        accuracy = copying(model, repeated(rows, test, period, profile.device))
        found = [induction_score(model.attention(ids), FIXED) for ids in repeated(20, test, FIXED, profile.device)]
        return Run(model, accuracy, losses, torch.stack(found).mean(0).cpu())

    two = fit("two layers", Sizes(VOCABULARY))
    one = fit("one layer", Sizes(VOCABULARY, layers=1))
    wide = fit("one wide layer", Sizes(VOCABULARY, width=WIDE, layers=1))
    fixed = fit("one layer, one period", Sizes(VOCABULARY, layers=1), FIXED)
    heads = [(1, head) for head, score in enumerate(two.scores[1].tolist()) if score >= 0.1]  # 0.08 is one layer's
    return Induction(two, one, wide, fixed, without(two.model, heads, seed))


def without(model: Copier, heads: list[tuple[int, int]], seed: int = 0) -> float:
    """Return the accuracy of the model on the second half while these (layer, head) pairs are silent."""
    before, model.silent = model.silent, frozenset(heads)
    try:
        ids = repeated(500, torch.Generator().manual_seed(2000 + seed), device=model.norm.device.type)
        return copying(model, ids)
    finally:
        model.silent = before


@dataclass(frozen=True)
class Reading:
    """What a small Llama reads, and the size and the training that a profile affords.

    seen (N,) is the text to train on, held_out (R, length + 1) the text to test with. The model has `sizes`; each of
    `steps` steps takes `batch` windows of length + 1 characters, at a learning rate that rises to `rate` and falls.
    """

    vocabulary: text.Vocabulary
    seen: Tensor
    held_out: Tensor
    sizes: Sizes
    batch: int
    length: int
    steps: int
    rate: float


def reading(profile: Profile) -> Reading:
    """Return the prose of Python's help, split, and what the profile affords."""
    vocabulary = text.character_vocabulary()
    seen, held_out = text.split(vocabulary.encode(text.prose()))
    width, layers, hidden = profile.choose(smoke=(32, 1, 64), laptop=(64, 2, 172), gpu=(384, 6, 1024))
    batch, length, rows = profile.choose(smoke=(8, 32, 8), laptop=(16, 64, 200), gpu=(64, 256, 400))
    steps, rate = profile.choose(smoke=(30, 4e-3), laptop=(300, 8e-3), gpu=(5000, 1e-3))
    sizes = Sizes(vocabulary.size, width, layers, heads=width // 16 if width < 128 else 6, hidden=hidden)
    rows = held_out[: rows * (length + 1)].view(rows, length + 1)
    return Reading(vocabulary, seen.to(profile.device), rows.to(profile.device), sizes, batch, length, steps, rate)


@dataclass(frozen=True)
class Prose:
    """A small Llama and the table of pairs on held-out prose, in nats a character."""

    loss: float
    bigram: float

    @property
    def gap(self) -> float:
        """How far the model's loss is below that of the table, in nats a character."""
        return self.bigram - self.loss


@one_thread()
def prose(llama: Block, lm_loss: Block, *, profile: Profile, seed: int = 0) -> Prose:
    """Train a small Llama on prose as the lesson's loop does, and count the pairs of characters in the same text.

    Measured at laptop on one thread, seeds 0 to 5: the table 2.612, the Llama 1.920 1.902 1.905 1.899 1.930 1.943.
    """
    plan = reading(profile)
    checkpoint = fresh_checkpoint(plan.sizes, seed=seed, device=profile.device)

    def loss(ids: Tensor) -> Tensor:
        return lm_loss(llama(checkpoint, ids, plan.sizes.heads, rotate, plan.sizes.eps), ids)

    def batch_loss(generator: torch.Generator) -> Tensor:
        return loss(text.windows(plan.seen, plan.batch, plan.length + 1, generator))

    options = {"schedule": "onecycle", "clip": 1.0, "seed": seed, "bf16": True, "description": "prose"}
    train(checkpoint.values(), batch_loss, plan.steps, plan.rate, **options)
    with torch.no_grad():
        return Prose(float(loss(plan.held_out)), bigram_loss(plan.seen, plan.held_out, plan.sizes.vocabulary))


def bigram_loss(seen: Tensor, rows: Tensor, size: int) -> float:
    """Return the loss in nats on rows (B, T) of the table of pairs in seen (N,), each count plus 1."""
    counts = torch.bincount(seen[:-1] * size + seen[1:], minlength=size * size).view(size, size).double() + 1
    logp = (counts / counts.sum(1, keepdim=True)).log()
    return float(-logp[rows[:, :-1], rows[:, 1:]].mean())


@dataclass(frozen=True)
class Causality:
    """The largest change of a logit to the left of a changed token, and the smallest at the token itself."""

    left: float
    right: float


@one_thread()
@torch.no_grad()
def causality(llama: Block, *, profile: Profile, seed: int = 0) -> Causality:
    """Change one token of a text at each place and see which logits move. No training; exact at every profile."""
    sizes = Sizes(VOCABULARY, hidden=96)
    checkpoint = fresh_checkpoint(sizes, seed=seed, device=profile.device)

    def logits(ids: Tensor) -> Tensor:
        return llama(checkpoint, ids, sizes.heads, rotate, sizes.eps)[0]

    ids = torch.randint(VOCABULARY, (1, HALF), generator=torch.Generator().manual_seed(seed)).to(profile.device)
    before, left, right = logits(ids), [0.0], []
    for place in range(HALF):
        changed = ids.clone()
        changed[0, place] = (changed[0, place] + 1) % VOCABULARY
        moved = (logits(changed) - before).abs().amax(-1)
        left += moved[:place].tolist()
        right.append(float(moved[place]))
    return Causality(max(left), min(right))


claims = (
    Claim(
        "Two layers of attention copy what they have seen once, at a distance that they cannot know beforehand",
        "2209.11895",
        induction,
        lambda result: result.two.accuracy,
        at_least=0.95,
    ),
    Claim(
        "One layer cannot (chance is 0.03; guessing among the tokens seen so far gives about 0.1)",
        "2209.11895",
        induction,
        lambda result: result.one.accuracy,
        at_most=0.35,
    ),
    Claim(
        "Ablation: nor can one layer with as many parameters as the two have",
        "2209.11895",
        induction,
        lambda result: result.wide.accuracy,
        at_most=0.35,
    ),
    Claim(
        "Ablation: one layer can if the distance never changes, for then position alone is enough",
        "2209.11895",
        induction,
        lambda result: result.fixed.accuracy,
        at_least=0.9,
    ),
    Claim(
        "The second layer has a head that looks where the last occurrence was followed (induction score)",
        "2209.11895",
        induction,
        lambda result: result.score,
        at_least=0.5,
    ),
    Claim(
        "Ablation: without such heads the second layer copies no better than one layer (accuracy)",
        "2209.11895",
        induction,
        lambda result: result.silenced,
        at_most=0.35,
    ),
    Claim(
        "A small Llama predicts prose better than the table of pairs (difference in nats a character)",
        "2302.13971",
        prose,
        lambda result: result.gap,
        at_least=0.4,
    ),
    Claim(
        "No logit depends on a token to its right (largest change, over the smallest by a token that it reads)",
        "2005.14165",
        causality,
        lambda result: result.left / result.right,
        at_most=1e-5,
        holds_from="smoke",
    ),
    Claim(
        "Each depends on its own token (smallest change)",
        "2005.14165",
        causality,
        lambda result: result.right,
        at_least=1e-3,
        holds_from="smoke",
    ),
)
