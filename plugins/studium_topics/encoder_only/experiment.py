"""Table 5 of the BERT paper in miniature: what reading from both sides buys, and what it costs.

The grammar has a determiner whose number ("this", "these") is decided by the noun to its RIGHT, and a verb whose number
is decided by the noun to its LEFT. A reader that goes left to right is exactly a coin for the first; see kits.grammar.

Measured at laptop (2 cores, CPU), seeds 0 to 5. Both sides: determiner 1.000, verb 1.000 each time. Left to right:
determiner .497 .503 .509 .495 .501 .495, verb 1.000 each time. Steps until the verb stays above 98 %: 100 120 210 140
110 90 for both sides, 50 40 40 40 30 40 left to right, so the price is 2.0 to 5.25. Loss of the determiner: .004 to
.005 nats for both sides, .695 to .697 left to right; the other roles are at most .042 above their floors. Padding: the
largest change is 0 with the mask and 3.9 to 6.1 without. One seed takes 25 s of CPU time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product

import torch
import torch.nn.functional as F
from studium import Claim, Profile, Published
from torch import Tensor
from torch.optim.optimizer import register_optimizer_step_post_hook

from studium_topics.encoder_only.model import Encoder, Sizes
from studium_topics.kits import grammar
from studium_topics.kits.training import one_thread

Block = Callable[..., Tensor]
Task = Callable[[Tensor], tuple[Tensor, Tensor]]
Pretrain = Callable[[Encoder, list[Tensor], Task, float], list[float]]
CLAUSES = 3
FIRST_WORD = len(grammar.SPECIAL)
LEARNING_RATE = 3e-3
SIZES = Sizes(vocabulary=grammar.VOCABULARY, length=1 + grammar.CLAUSE * CLAUSES, pad=grammar.PAD)


@dataclass(frozen=True)
class Reader:
    """One trained model: its number accuracy by training step and at the end, and its final loss by role in nats."""

    model: Encoder
    steps: list[int]
    determiners: list[float]
    verbs: list[float]
    determiner: float
    verb: float
    nats: dict[str, float]

    def steps_to_verb(self, accuracy: float = 0.98) -> float:
        """Return the first measured step from which on the verb's accuracy stays there; infinity if it never does."""
        below = [step for step, value in zip(self.steps, self.verbs, strict=True) if value < accuracy]
        later = [step for step in self.steps if not below or step > below[-1]]
        return float(later[0]) if later else float("inf")


@dataclass(frozen=True)
class BothSides:
    """The masked language model (both) and the left-to-right model (left), trained alike."""

    both: Reader
    left: Reader

    @property
    def price(self) -> float:
        """How many times more steps the masked model needs until it knows the verb; all its steps if it never does."""
        both, left = (min(reader.steps_to_verb(), float(reader.steps[-1])) for reader in (self.both, self.left))
        return both / left


def text(batch: int, generator: torch.Generator, device: str = "cpu") -> Tensor:
    """Return [CLS] and one to three clauses, filled up with [PAD]: ids (batch, 16)."""
    ids = grammar.sentences(batch, CLAUSES, generator)
    clauses = torch.randint(1, CLAUSES + 1, (batch, 1), generator=generator)
    ids = ids.masked_fill(torch.arange(ids.shape[1]) >= grammar.CLAUSE * clauses, grammar.PAD)
    return F.pad(ids, (1, 0), value=grammar.CLS).to(device)


def batches(profile: Profile, generator: torch.Generator) -> list[Tensor]:
    """Return the batches of one training run, one for each step."""
    steps = profile.choose(smoke=30, laptop=400, gpu=1500)
    size = profile.choose(smoke=16, laptop=48, gpu=256)
    return [text(size, generator) for _ in range(steps)]


def every_clause() -> list[list[str]]:
    """Return all 1782 clauses of the grammar, which are equally likely, as lists of five words."""
    parts = zip(grammar.DETERMINERS, grammar.NOUNS, grammar.VERBS, strict=True)
    return [[*words, "."] for the, nouns, verbs in parts for words in product(the, grammar.ADJECTIVES, nouns, verbs)]


def next_words(ids: Tensor) -> tuple[Tensor, Tensor]:
    """Return the task of a left-to-right model: ids (B, T), and each position's next word, -100 where there is none."""
    following = F.pad(ids[:, 1:], (0, 1), value=grammar.PAD)
    return ids, following.masked_fill(following == grammar.PAD, -100)


@torch.no_grad()
def predictions(model: Encoder, ids: Tensor, role: str) -> tuple[Tensor, Tensor]:
    """Return the logits (B, 3, V) for the words of a role, and the words (B, 3), for ids (B, 16) without padding.

    The masked model reads the sentences with just these words hidden; the other predicts each from its past.
    """
    places = grammar.positions(role, CLAUSES, start=1).to(ids.device)
    if model.causal:
        return model(ids)[:, places - 1], ids[:, places]
    return model(ids.index_fill(1, places, grammar.MASK))[:, places], ids[:, places]


def accuracy(model: Encoder, ids: Tensor, role: str) -> float:
    """Return how often the model gets the number of the words of a role right."""
    logits, words = predictions(model, ids, role)
    return grammar.number_accuracy(logits.argmax(-1), words)


def nats(model: Encoder, ids: Tensor, role: str) -> float:
    """Return the mean cross-entropy of the words of a role."""
    logits, words = predictions(model, ids, role)
    return float(F.cross_entropy(logits.double().flatten(0, 1), words.flatten()))


@one_thread()
def both_sides(
    bert_embed: Block,
    bert_layer: Block,
    pad_mask: Block,
    corrupt: Callable[..., tuple[Tensor, Tensor]],
    pretrain: Pretrain,
    *,
    profile: Profile,
    seed: int = 0,
) -> BothSides:
    """Train one model with both sides in view and one left to right, with the same weights, data, loop and steps."""
    blocks = {"bert_embed": bert_embed, "bert_layer": bert_layer, "pad_mask": pad_mask}
    noise = torch.Generator().manual_seed(2000 + seed)

    def hide(ids: Tensor) -> tuple[Tensor, Tensor]:
        return corrupt(ids, grammar.MASK, FIRST_WORD, grammar.VOCABULARY, noise)

    readers = []
    for causal, task in ((False, hide), (True, next_words)):
        model = Encoder(SIZES, **blocks, causal=causal, seed=seed).to(profile.device)
        readers.append(read(model, task, pretrain, profile=profile, seed=seed))
    return BothSides(*readers)


def read(model: Encoder, task: Task, pretrain: Pretrain, *, profile: Profile, seed: int) -> Reader:
    """Train one model and measure it on the way."""
    data = batches(profile, torch.Generator().manual_seed(seed))
    every = len(data) // profile.choose(smoke=5, laptop=40, gpu=50)
    test = torch.Generator().manual_seed(1000 + seed)
    small, large = (
        F.pad(grammar.sentences(size, CLAUSES, test), (1, 0), value=grammar.CLS).to(profile.device)
        for size in (200, profile.choose(smoke=500, laptop=2000, gpu=20000))
    )
    curve: list[tuple[int, float, float]] = []

    def measure(step: int) -> None:
        if step % every == 0:
            curve.append((step, accuracy(model, small, "determiner"), accuracy(model, small, "verb")))

    def on_device(ids: Tensor) -> tuple[Tensor, Tensor]:
        noisy, wanted = task(ids)
        return noisy.to(profile.device), wanted.to(profile.device)

    with after_each_step(measure):
        pretrain(model, data, on_device, LEARNING_RATE)
    at, determiners, verbs = (list(column) for column in zip(*curve, strict=True))
    final = (accuracy(model, large, role) for role in ("determiner", "verb"))
    losses = {role: nats(model, large, role) for role in grammar.ROLES}
    return Reader(model, at, determiners, verbs, *final, losses)


@contextmanager
def after_each_step(measure: Callable[[int], None]) -> Iterator[None]:
    """Call measure(n) after step n of whatever optimiser of PyTorch runs inside, n from 1 on."""
    done = 0

    def hook(*_: object) -> None:
        nonlocal done
        done += 1
        measure(done)

    handle = register_optimizer_step_post_hook(hook)
    try:
        yield
    finally:
        handle.remove()


@dataclass(frozen=True)
class Padding:
    """The largest change of a real word's logits when the padding changes, with the mask and without."""

    masked: float
    unmasked: float


@one_thread()
@torch.no_grad()
def padding(bert_embed: Block, bert_layer: Block, pad_mask: Block, *, profile: Profile, seed: int = 0) -> Padding:
    """Return how far real words' logits move when the vector of [PAD] becomes noise, with the mask and without."""

    def everything(ids: Tensor, pad: int) -> Tensor:
        return torch.ones_like(pad_mask(ids, pad))

    generator = torch.Generator().manual_seed(seed)
    ids = text(64, generator, profile.device)
    noise = torch.randn(SIZES.width, generator=generator).to(profile.device)
    changes = []
    for mask in (pad_mask, everything):
        model = Encoder(SIZES, bert_embed=bert_embed, bert_layer=bert_layer, pad_mask=mask, seed=seed).to(
            profile.device
        )
        before = model.states(ids)[-1]
        model.tables["word"].data[grammar.PAD] = noise
        moved = (model.states(ids)[-1] - before) @ model.tables["word"].T
        changes.append(float(moved[ids != grammar.PAD].abs().max()))
    return Padding(*changes)


@one_thread()
@torch.no_grad()
def minimal_pairs(model: Encoder, pseudo_ll: Callable[..., Tensor], *, count: int = 40, seed: int = 0) -> float:
    """Return how often the right sentence scores above its copy with the other determiner ("this", "these")."""
    device = model.bias.device
    generator = torch.Generator().manual_seed(seed)
    right = F.pad(grammar.sentences(count, 1, generator), (1, 0), value=grammar.CLS)
    wrong = right.clone()
    wrong[:, 1] = grammar.encode("this these").flip(0)[grammar.number_of(right[:, 1])]
    special = {grammar.PAD, grammar.CLS, grammar.SEP}
    scores = [
        [float(pseudo_ll(model, row, grammar.MASK, special)) for row in rows.to(device)] for rows in (right, wrong)
    ]
    return float((torch.tensor(scores[0]) > torch.tensor(scores[1])).double().mean())


@one_thread()
@torch.no_grad()
def fill(model: Encoder, *, at_once: bool, count: int = 2000, seed: int = 0) -> tuple[float, str]:
    """Return how often determiner, noun and verb agree when the model draws all three, and one such clause.

    at_once: draw all three from one prediction; otherwise one after the other, each seeing those already drawn.
    """
    device = model.bias.device
    generator = torch.Generator().manual_seed(seed)
    ids = F.pad(grammar.sentences(count, 1, generator), (1, 0), value=grammar.CLS).to(device)
    places = [1, 3, 4]
    ids[:, places] = grammar.MASK
    for group in [places] if at_once else [[place] for place in places]:
        probability = model(ids)[:, group].softmax(-1).flatten(0, 1).cpu()
        ids[:, group] = torch.multinomial(probability, 1, generator=generator).view(count, -1).to(device)
    number = grammar.number_of(ids[:, places])
    agree = (number >= 0).all(1) & (number == number[:, :1]).all(1)
    return float(agree.double().mean()), grammar.decode(ids[0, 1:])


claims = (
    Claim(
        "With both sides in view a model knows the determiner, whose number is decided to its right",
        "1810.04805",
        both_sides,
        lambda result: result.both.determiner,
        at_least=0.98,
        published=Published(
            "Devlin et al. 2018, Table 5",
            {"both sides": 87.9, "left to right": 77.8},
            "F1 on SQuAD, without next sentence prediction",
            lambda result, name: 100 * (result.both if name == "both sides" else result.left).determiner,
            "determiners with the right number, %",
            "In SQuAD most answers are found left to right, too; the number of our determiner is decided by a later "
            "word alone, and there a model that cannot see it has to guess.",
        ),
    ),
    Claim(
        "Left to right the determiner stays a coin: distance of its accuracy from 1/2",
        "1810.04805",
        both_sides,
        lambda result: abs(result.left.determiner - 0.5),
        at_most=0.05,
    ),
    Claim(
        "Both know the verb, whose number is decided to its left: the worse of the two",
        "1810.04805",
        both_sides,
        lambda result: min(result.both.verb, result.left.verb),
        at_least=0.98,
    ),
    Claim(
        "Left to right the determiner's loss stays at its floor, ln 2: how far it is from there, in nats",
        "1810.04805",
        both_sides,
        lambda result: abs(result.left.nats["determiner"] - math.log(2)),
        at_most=0.05,
    ),
    Claim(
        "The price: the masked model needs more steps than the other until it knows the verb (ratio)",
        "1810.04805",
        both_sides,
        lambda result: result.price,
        at_least=1.2,
    ),
    Claim(
        "With a padding mask no real word's logits depend on the padding: largest change, over that without a mask",
        "1810.04805",
        padding,
        lambda result: result.masked / result.unmasked,
        at_most=1e-6,
        holds_from="smoke",
    ),
    Claim(
        "Without it they do: largest change",
        "1810.04805",
        padding,
        lambda result: result.unmasked,
        at_least=1e-3,
        holds_from="smoke",
    ),
)
