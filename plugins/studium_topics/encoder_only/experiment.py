"""Table 5 of the BERT paper in miniature: what reading from both sides buys, and what it costs.

The grammar has a determiner whose number ("this", "these") is decided by the noun to its RIGHT, and a verb whose number
is decided by the noun to its LEFT. A reader that goes left to right is exactly a coin for the first; see kits.grammar.

Measured at laptop (2 cores, CPU), seeds 0 to 5. Both sides: determiner 1.000, verb 1.000 each time. Left to right:
determiner .499 .503 .499 .505 .496 .510, verb 1.000 each time. Steps until the verb stays above 98 %: 130 120 140 140
110 120 for both sides, 70 70 70 70 60 70 left to right, so the price is 1.7 to 2.0. Padding: the largest change is 0
with the mask and 3.9 to 6.1 without. One seed takes 12 s on cores that others use too, and 480 MB.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from studium import Claim, Profile
from torch import Tensor

from studium_topics.encoder_only.model import Encoder, Sizes
from studium_topics.kits import grammar
from studium_topics.kits.training import one_thread, train

Block = Callable[..., Tensor]
CLAUSES = 3
SIZES = Sizes(vocabulary=grammar.VOCABULARY, length=1 + grammar.CLAUSE * CLAUSES, pad=grammar.PAD)


@dataclass(frozen=True)
class Reader:
    """One trained model: number accuracy by training step, for the determiner and the verb, and the final ones."""

    model: Encoder
    steps: list[int]
    determiners: list[float]
    verbs: list[float]
    determiner: float
    verb: float
    losses: list[float]

    def steps_to_verb(self, accuracy: float = 0.98) -> float:
        """The first measured step from which on the verb's accuracy stays there; infinite if it never does."""
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
        """How many times more steps the masked model needs until it knows the verb."""
        return self.both.steps_to_verb() / self.left.steps_to_verb()


def text(batch: int, generator: torch.Generator, device: str = "cpu") -> Tensor:
    """[CLS] and one to three clauses, filled up with [PAD]: ids (batch, 16)."""
    ids = grammar.sentences(batch, CLAUSES, generator)
    clauses = torch.randint(1, CLAUSES + 1, (batch, 1), generator=generator)
    ids = ids.masked_fill(torch.arange(ids.shape[1]) >= grammar.CLAUSE * clauses, grammar.PAD)
    return F.pad(ids, (1, 0), value=grammar.CLS).to(device)


def corrupt(ids: Tensor, generator: torch.Generator, rate: float = 0.15) -> tuple[Tensor, Tensor]:
    """BERT's noise (section 3.1): choose 15 % of the words; 80 % become [MASK], 10 % a random word, 10 % stay.

    Returns the noisy ids and the labels, -100 where nothing was chosen, (B, T) each. generator: on the CPU.
    """
    first_word = len(grammar.SPECIAL)
    chance, kind = torch.rand(2, *ids.shape, generator=generator).to(ids.device)
    random = torch.randint(first_word, grammar.VOCABULARY, ids.shape, generator=generator).to(ids.device)
    chosen = (chance < rate) & (ids >= first_word)
    noisy = torch.where(chosen & (kind < 0.8), grammar.MASK, ids)
    return torch.where(chosen & (kind >= 0.9), random, noisy), ids.masked_fill(~chosen, -100)


def next_words(ids: Tensor) -> Tensor:
    """The labels of a left-to-right model: each position's next word, -100 where there is none, (B, T)."""
    following = F.pad(ids[:, 1:], (0, 1), value=grammar.PAD)
    return following.masked_fill(following == grammar.PAD, -100)


@torch.no_grad()
def accuracy(model: Encoder, ids: Tensor, role: str) -> float:
    """How often the model gets the number of the words of a role right, for ids (B, 16) without padding.

    The masked model reads the sentences with just these words hidden; the other predicts each from its past.
    """
    places = grammar.positions(role, CLAUSES, start=1)
    hidden = ids if model.causal else ids.index_fill(1, places.to(ids.device), grammar.MASK)
    at = places - 1 if model.causal else places
    return grammar.number_accuracy(model(hidden)[:, at].argmax(-1), ids[:, places])


@one_thread()
def both_sides(
    bert_embed: Block, bert_layer: Block, pad_mask: Block, mlm_loss: Block, *, profile: Profile, seed: int = 0
) -> BothSides:
    """Train one model with both sides in view and one left to right, with the same weights, data and steps."""
    blocks = {"bert_embed": bert_embed, "bert_layer": bert_layer, "pad_mask": pad_mask}
    readers = []
    for causal in (False, True):
        model = Encoder(SIZES, **blocks, causal=causal, seed=seed).to(profile.device)
        readers.append(read(model, mlm_loss, profile=profile, seed=seed))
    return BothSides(*readers)


def read(model: Encoder, mlm_loss: Block, *, profile: Profile, seed: int) -> Reader:
    """Train one model and measure it on the way."""
    steps = profile.choose(smoke=30, laptop=400, gpu=1500)
    batch = profile.choose(smoke=16, laptop=48, gpu=256)
    every = steps // profile.choose(smoke=5, laptop=40, gpu=50)
    test = torch.Generator().manual_seed(1000 + seed)
    small, large = (
        F.pad(grammar.sentences(size, CLAUSES, test), (1, 0), value=grammar.CLS).to(profile.device)
        for size in (200, profile.choose(smoke=500, laptop=2000, gpu=20000))
    )
    curve: list[tuple[int, float, float]] = []

    def loss(generator: torch.Generator) -> Tensor:
        ids = text(batch, generator, profile.device)
        inputs, labels = (ids, next_words(ids)) if model.causal else corrupt(ids, generator)
        return mlm_loss(model(inputs), labels)

    def measure(step: int) -> None:
        if (step + 1) % every == 0:
            curve.append((step + 1, accuracy(model, small, "determiner"), accuracy(model, small, "verb")))

    name = "left to right" if model.causal else "both sides"
    losses = train(
        model, loss, steps, 3e-3, schedule="onecycle", clip=1.0, seed=seed, after_step=measure, description=name
    )
    at, determiners, verbs = (list(column) for column in zip(*curve, strict=True))
    final = (accuracy(model, large, role) for role in ("determiner", "verb"))
    return Reader(model, at, determiners, verbs, *final, losses)


@dataclass(frozen=True)
class Padding:
    """The largest change of a real word's logits when the padding changes, with the mask and without."""

    masked: float
    unmasked: float


@one_thread()
@torch.no_grad()
def padding(bert_embed: Block, bert_layer: Block, pad_mask: Block, *, profile: Profile, seed: int = 0) -> Padding:
    """Replace the vector of [PAD] by noise and see whether any real word's logits move."""

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
    """How often the right sentence scores above its copy with the other determiner ("this", "these")."""
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
    """Hide determiner, noun and verb of a clause, draw them from the model, and see how often all three agree.

    at_once: draw all three from one prediction; else one after the other, each seeing those already drawn.
    Returns the share of clauses that agree and the first clause as an example.
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
        "The price: the masked model needs more steps than the other until it knows the verb (ratio)",
        "1810.04805",
        both_sides,
        lambda result: result.price,
        at_least=1.2,
    ),
    Claim(
        "With a padding mask no real word's logits depend on the padding: largest change",
        "1810.04805",
        padding,
        lambda result: result.masked,
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
