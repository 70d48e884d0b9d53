"""What T5's objective costs and buys, in miniature: exact lengths, short targets, a denoiser and a language model.

Measured at laptop (CPU, one thread). Masks: standard deviation of the hidden tokens 0 (seed 0 of a coin: 7.9), mean
span length 2.96 (of a coin: 1.18). Costs: operations of the whole text 2.15, of tokens one by one 1.25 times those
of spans of 3, whatever the seed, for they are counted; CPU time, two runs, 1.8 and 2.0 times, 1.3 and 1.3 times.
Training, spans, seeds 0 to 4: determiner 1.000 1.000 1.000 1.000 .974, verb 1.000 .996 1.000 1.000 1.000, agree .920
.905 .900 .920 .940, mixed .265 .233 .213 .230 .205, words 5.4 5.8 6.2 6.1 5.3 of 10. Seed 0 of the others: left to
right .496 and 1.000, 10.0 words; whole text .988 and 1.000. One seed takes about 80 s of CPU time on a busy machine.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from studium import Claim, Profile, Published
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from studium_topics.kits import grammar
from studium_topics.kits.training import one_thread
from studium_topics.span_corruption.model import Sizes, TinyT5

Block = Callable[..., object]
Batch = tuple[Tensor, Tensor, Tensor]
EOS, PAD = grammar.SEP, grammar.PAD
VOCABULARY = grammar.VOCABULARY + 16
SENTINELS = list(range(VOCABULARY - 1, grammar.VOCABULARY - 1, -1))  # they count down, as T5's do
CLAUSES, DENSITY, MEAN = 4, 0.3, 3  # at 15 % a text of 20 words would have a single span
HALF = grammar.CLAUSE * CLAUSES // 2
SIZES = Sizes(VOCABULARY, pad=PAD)
LEARNING_RATE = 5e-3
OBJECTIVES = ("spans", "whole text", "left to right")


def texts(batch: int, generator: torch.Generator) -> Tensor:
    """Return texts of four clauses, ids (batch, 20)."""
    return grammar.sentences(batch, CLAUSES, generator)


def words(ids: Tensor) -> str:
    """Return ids (T,) as words; sentinels are written <X>, <Y>, <Z>, …"""
    names = dict(zip(SENTINELS, "XYZABCDEFGHIJKLM", strict=True)) | {EOS: "/s"}
    return " ".join(f"<{names[i]}>" if i in names else grammar.WORDS[i] for i in ids.tolist())


# ------------------------------------------------------------------------------------------------------- counts


@dataclass(frozen=True)
class Counts:
    """Hidden tokens and spans of many masks: by `span_mask`, and by a coin for each token."""

    hidden: Tensor
    spans: Tensor
    coin_hidden: Tensor
    coin_spans: Tensor

    @property
    def longer(self) -> float:
        """How many times longer the spans of `span_mask` are than those of the coin, on average."""
        ours, coins = self.hidden.sum() / self.spans.sum(), self.coin_hidden.sum() / self.coin_spans.sum()
        return float(ours / coins)


def counts(span_mask: Callable[..., Tensor], *, profile: Profile, seed: int = 0, length: int = 512) -> Counts:
    """Count the hidden tokens and the spans of many masks at 15 % and mean length 3."""
    generator = torch.Generator().manual_seed(seed)
    draws = profile.choose(smoke=200, laptop=2000, gpu=10000)
    ours = torch.stack([torch.as_tensor(span_mask(length, 0.15, 3, generator)) for _ in range(draws)])
    coins = torch.rand(draws, length, generator=generator) < 0.15
    numbers = []
    for masks in (ours, coins):
        starts = masks & ~F.pad(masks, (1, 0))[:, :-1]
        numbers += [masks.sum(1).double(), starts.sum(1).double()]
    return Counts(*numbers)


# ------------------------------------------------------------------------------------------------------- costs


@dataclass(frozen=True)
class Cost:
    """One training step on one text of 568 tokens: tokens on both sides, operations, and seconds of CPU time."""

    inputs: int
    targets: int
    flops: int
    seconds: float


@one_thread()
def costs(
    span_mask: Callable[..., Tensor],
    corrupt: Callable[..., tuple[Tensor, Tensor]],
    shift_right: Callable[..., Tensor],
    *,
    profile: Profile,
    seed: int = 0,
) -> dict[str, Cost]:
    """Return the cost of a step for spans of 3, for tokens hidden one by one, and for spans with all words to write.

    The text, the share of hidden tokens and the model are the same in all three; the second changes the mean length of
    the spans, the third the targets.
    """
    length = profile.choose(smoke=141, laptop=568, gpu=568)
    generator = torch.Generator().manual_seed(seed)
    sentinels = list(range(999, 499, -1))
    model = TinyT5(Sizes(1000, width=128, heads=4, hidden=512, reach=length + 2), seed=seed).to(profile.device)
    ids = torch.randint(3, 499, (length,), generator=generator)
    found = {}
    for name, mean in (("spans of 3", 3), ("one by one", 1), ("whole text", 3)):
        inputs, targets = corrupt(ids, span_mask(length, 0.15, mean, generator), sentinels, EOS)
        labels = F.pad(ids, (0, 1), value=EOS) if name == "whole text" else targets
        batch = (inputs[None], shift_right(labels[None], PAD, PAD), labels[None])
        step = [part.to(profile.device) for part in batch]
        with FlopCounterMode(display=False) as counter:
            loss_of(model, *step).backward()
        found[name] = Cost(len(inputs), len(labels), counter.get_total_flops(), _seconds(model, step))
    return found


def _seconds(model: TinyT5, batch: list[Tensor], repeats: int = 5) -> float:
    """Return the CPU time of a training step, the least of several: a busy machine only adds."""
    least = float("inf")
    for _ in range(repeats):
        begin = time.process_time()
        loss_of(model, *batch).backward()
        least = min(least, time.process_time() - begin)
    return least


def loss_of(model: TinyT5, inputs: Tensor, decoder_inputs: Tensor, labels: Tensor) -> Tensor:
    """Return the mean cross-entropy of the labels that count, in nats."""
    return F.cross_entropy(model(inputs, decoder_inputs).flatten(0, 1), labels.flatten(), ignore_index=-100)


# -------------------------------------------------------------------------------------------------- objectives


@dataclass
class Learner:
    """A model trained with one objective, and how often it knew the numbers, by training step."""

    model: TinyT5
    objective: str
    steps: list[int] = field(default_factory=list)
    determiner: list[float] = field(default_factory=list)
    verb: list[float] = field(default_factory=list)
    seconds: float = 0.0

    def steps_to(self, accuracy: float = 0.9) -> float:
        """Return the first measured step from which on the determiner's accuracy stays there, or infinity."""
        below = [step for step, value in zip(self.steps, self.determiner, strict=True) if value < accuracy]
        later = [step for step in self.steps if not below or step > below[-1]]
        return float(later[0]) if later else float("inf")


def batch_of(
    objective: str,
    rows: Tensor,
    collate: Callable[..., Batch],
    shift_right: Callable[..., Tensor],
    generator: torch.Generator,
) -> Batch:
    """Return inputs, decoder inputs and labels of texts (B, 20) for one of OBJECTIVES.

    "whole text" has the inputs of "spans" and asks for all words; "left to right" has the first half for inputs and
    asks for the second.
    """
    if objective == "left to right":
        inputs, labels = rows[:, :HALF], rows[:, HALF:]
        labels = F.pad(labels, (0, 1), value=EOS)
        return F.pad(inputs, (0, 1), value=EOS), shift_right(labels, PAD, PAD), labels
    inputs, decoder_inputs, labels = collate(list(rows), DENSITY, MEAN, SENTINELS, EOS, PAD, generator)
    if objective == "spans":
        return inputs, decoder_inputs, labels
    labels = F.pad(rows, (0, 1), value=EOS)
    return inputs, shift_right(labels, PAD, PAD), labels


@one_thread()
def objectives(
    collate: Callable[..., Batch],
    shift_right: Callable[..., Tensor],
    pretrain: Callable[..., list[float]],
    *,
    profile: Profile,
    seed: int = 0,
) -> dict[str, Learner]:
    """Train three models with the same first weights, texts, loop and number of steps, one for each objective."""
    steps = profile.choose(smoke=10, laptop=500, gpu=2000)
    size = profile.choose(smoke=8, laptop=64, gpu=256)
    test = texts(profile.choose(smoke=50, laptop=500, gpu=5000), torch.Generator().manual_seed(1000 + seed))
    learners = {}
    for objective in OBJECTIVES:
        generator = torch.Generator().manual_seed(seed)
        noise = torch.Generator().manual_seed(500 + seed)
        learner = Learner(TinyT5(SIZES, seed=seed).to(profile.device), objective)

        def batch(step: int, objective=objective, learner=learner, generator=generator, noise=noise) -> list[Tensor]:
            if step % max(1, steps // 10) == 0:
                measure(learner, step, test.to(profile.device))
            rows = texts(size, generator)
            return [part.to(profile.device) for part in batch_of(objective, rows, collate, shift_right, noise)]

        begin = time.process_time()
        pretrain(learner.model, batch, steps, LEARNING_RATE)
        learner.seconds = time.process_time() - begin
        measure(learner, steps, test.to(profile.device))
        learners[objective] = learner
    return learners


def measure(learner: Learner, step: int, rows: Tensor) -> None:
    """Note how often the model knows the number of the third clause's determiner, and of its verb."""
    learner.steps.append(step)
    learner.determiner.append(accuracy(learner, rows, HALF))
    learner.verb.append(accuracy(learner, rows, HALF + 3))


@torch.no_grad()
def accuracy(learner: Learner, rows: Tensor, place: int) -> float:
    """Return how often the number of the word at `place` is right, for texts (B, 20).

    A denoiser sees the text with this word and the last clause hidden; "left to right" sees what comes before the word.
    """
    if learner.objective == "left to right":
        inputs, before = F.pad(rows[:, :HALF], (0, 1), value=EOS), rows[:, HALF:place]
    else:
        inputs = hide(rows, (place, place + 1), (3 * grammar.CLAUSE, 4 * grammar.CLAUSE))
        start = torch.full_like(rows[:, :1], SENTINELS[0])
        before = start if learner.objective == "spans" else rows[:, :place]
    logits = learner.model(inputs, F.pad(before, (1, 0), value=PAD))[:, -1]
    return grammar.number_accuracy(logits[:, : grammar.VOCABULARY].argmax(-1), rows[:, place])


def hide(rows: Tensor, *gaps: tuple[int, int]) -> Tensor:
    """Return the inputs in which a sentinel stands for each gap, the places from first to last without last."""
    parts, at = [], 0
    for (first, last), sentinel in zip(gaps, SENTINELS, strict=False):
        parts += [rows[:, at:first], torch.full_like(rows[:, :1], sentinel)]
        at = last
    return torch.cat([*parts, rows[:, at:], torch.full_like(rows[:, :1], EOS)], 1)


@torch.no_grad()
def write(model: TinyT5, inputs: Tensor, generator: torch.Generator, longest: int = 24) -> Tensor:
    """Return what the decoder writes, drawn word by word, (B, up to 24); PAD after the end."""
    memory, seen = model.read(inputs)
    text = torch.full_like(inputs[:, :1], PAD)
    over = torch.zeros_like(text, dtype=torch.bool)
    while text.shape[1] <= longest and not over.all():
        odds = model.write(memory, seen, text)[:, -1].softmax(-1).cpu()
        drawn = torch.multinomial(odds, 1, generator=generator).to(inputs.device)
        text = torch.cat([text, drawn.masked_fill(over, PAD)], 1)
        over |= drawn == EOS
    return text[:, 1:]


@dataclass(frozen=True)
class Uses:
    """What a denoiser and a language model do when they are asked: see `uses`."""

    learners: dict[str, Learner]
    agree: float
    agree_mixed: float
    example: str
    words: dict[str, float]


@one_thread()
def uses(
    collate: Callable[..., Batch],
    shift_right: Callable[..., Tensor],
    restore: Callable[..., Tensor],
    pretrain: Callable[..., list[float]],
    *,
    profile: Profile,
    seed: int = 0,
) -> Uses:
    """Train the three models, let the denoiser fill gaps, and let it and the language model continue a text.

    agree: how often determiner, noun and verb of a clause agree when the denoiser fills in all three. agree_mixed: the
    same if each of the three comes from another draw, so that they are independent. words: how many words a model
    writes when the second half of a text, 10 words, is missing.
    """
    learners = objectives(collate, shift_right, pretrain, profile=profile, seed=seed)
    rows = texts(profile.choose(smoke=20, laptop=400, gpu=4000), torch.Generator().manual_seed(2000 + seed))
    rows = rows.to(profile.device)
    generator = torch.Generator().manual_seed(3000 + seed)
    denoiser, model = learners["spans"].model, learners["left to right"].model
    agree, mixed, example = filled(denoiser, restore, rows, generator)
    open_end = {
        "spans": write(denoiser, hide(rows, (HALF, 2 * HALF)), generator),
        "left to right": write(model, F.pad(rows[:, :HALF], (0, 1), value=EOS), generator),
    }
    special = torch.tensor([*SENTINELS, EOS, PAD], device=rows.device)
    written = {name: float((~torch.isin(text, special)).double().sum(1).mean()) for name, text in open_end.items()}
    return Uses(learners, agree, mixed, example, written)


def filled(
    model: TinyT5, restore: Callable[..., Tensor], rows: Tensor, generator: torch.Generator
) -> tuple[float, float, str]:
    """Return how often determiner, noun and verb of the last clause agree in one draw, and mixed from three draws.

    The whole clause is hidden behind one sentinel, and one word elsewhere. The third value is one filled text.
    """
    inputs = hide(rows, (7, 8), (15, 20))
    draws = []
    for _ in range(3):
        pairs = zip(inputs.cpu(), ended(write(model, inputs, generator)), strict=True)
        restored = [torch.as_tensor(restore(one, other, SENTINELS, EOS)) for one, other in pairs]
        draws.append(torch.stack([F.pad(text, (0, 2 * HALF))[: 2 * HALF] for text in restored]))
    numbers = [grammar.number_of(draw.clamp(max=grammar.VOCABULARY - 1)[:, [15, 17, 18]]) for draw in draws]
    mixed = torch.stack([numbers[place][:, place] for place in range(3)], 1)
    shares = [float(((n >= 0).all(1) & (n == n[:, :1]).all(1)).double().mean()) for n in (numbers[0], mixed)]
    return *shares, f"{words(inputs[0])}  →  {grammar.decode(draws[0][0])}"


def ended(written: Tensor) -> list[Tensor]:
    """Return each row up to its first EOS, with one at its end."""
    rows = []
    for row in written.cpu():
        stop = (row == EOS).nonzero()
        rows.append(torch.cat([row[: int(stop[0])] if len(stop) else row, torch.tensor([EOS])]))
    return rows


T5 = "1910.10683"
claims = (
    Claim(
        "T5's masks hide the same number of tokens in every text: standard deviation",
        T5,
        counts,
        lambda result: float(result.hidden.std()),
        at_most=0.0,
        holds_from="smoke",
    ),
    Claim(
        "Their spans have the mean length that was asked for, 3",
        T5,
        counts,
        lambda result: float(result.hidden.sum() / result.spans.sum()),
        at_least=2.9,
        holds_from="smoke",
    ),
    Claim(
        "Its spans are longer than those of a coin for each token at the same density (ratio of the mean lengths)",
        T5,
        counts,
        lambda result: result.longer,
        at_least=2.0,
        holds_from="smoke",
    ),
    Claim(
        "To write the whole text takes more operations a step than to write the spans (ratio)",
        T5,
        costs,
        lambda result: result["whole text"].flops / result["spans of 3"].flops,
        at_least=1.9,
    ),
    Claim(
        "It takes more CPU time a step, too (ratio)",
        T5,
        costs,
        lambda result: result["whole text"].seconds / result["spans of 3"].seconds,
        at_least=1.3,
    ),
    Claim(
        "Tokens hidden one by one take more operations a step than spans of 3 (ratio)",
        T5,
        costs,
        lambda result: result["one by one"].flops / result["spans of 3"].flops,
        at_least=1.15,
    ),
    Claim(
        "A denoiser of spans knows the determiner, whose number is decided to its right",
        T5,
        uses,
        lambda result: result.learners["spans"].determiner[-1],
        at_least=0.9,
        published=Published(
            "Raffel et al. 2019, Table 2",
            {"language model": 79.56, "denoiser": 83.28},
            "GLUE score of the encoder-decoder after fine-tuning",
            lambda result, name: (
                100 * result.learners["spans" if name == "denoiser" else "left to right"].determiner[-1]
            ),
            "determiners with the right number, %",
            "Much of what GLUE asks can be learned left to right, too; the number of our determiner is decided by a "
            "later word alone, so that a language model has to guess it.",
        ),
    ),
    Claim(
        "For the model that reads left to right it stays a coin: distance of its accuracy from 1/2",
        T5,
        uses,
        lambda result: abs(result.learners["left to right"].determiner[-1] - 0.5),
        at_most=0.08,
    ),
    Claim(
        "Both know the verb, whose number is decided to its left: the worse of the two",
        T5,
        uses,
        lambda result: min(result.learners[name].verb[-1] for name in ("spans", "left to right")),
        at_least=0.9,
    ),
    Claim(
        "A clause that the denoiser writes word by word agrees more often than one mixed from three (difference)",
        T5,
        uses,
        lambda result: result.agree - result.agree_mixed,
        at_least=0.4,
    ),
    Claim(
        "Where ten words are missing, the denoiser writes fewer than the language model (ratio)",
        T5,
        uses,
        lambda result: result.words["spans"] / result.words["left to right"],
        at_most=0.75,
    ),
)
