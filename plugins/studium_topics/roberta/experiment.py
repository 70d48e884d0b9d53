"""RoBERTa's ablations in miniature: each row is compared with the row in which only one thing changes.

All three trainings read the documents of `stories`, whose lowest losses are known. The docstrings of the experiments
have what was measured (CPU, laptop). The global random state stays as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from studium import Claim, Profile
from torch import Tensor
from torch.optim.optimizer import register_optimizer_step_post_hook

from studium_topics.kits import grammar
from studium_topics.kits.training import one_thread
from studium_topics.roberta import stories
from studium_topics.roberta.model import Roberta, Sizes

Task = tuple[Tensor, Tensor]
Data = Callable[[int], Task]
Block = Callable[..., Tensor]

FULL = 8  # clauses in a row of FULL-SENTENCES
LENGTH = 2 + FULL * grammar.CLAUSE
NEXT, OTHER = grammar.VOCABULARY, grammar.VOCABULARY + 1  # the two answers of next sentence prediction
SIZES = Sizes(vocabulary=grammar.VOCABULARY + 2, length=LENGTH, pad=grammar.PAD)
RATE, EPOCHS, COPIES = 0.15, 40, 10
LEARNING_RATE = 2e-3
ROWS, PAIRS = 16, 52  # rows in a batch: about 672 tokens, packed or in pairs


@dataclass(frozen=True)
class Masked:
    """One masking: the training loss of each update, and the loss on held-out rows after each epoch, in nats."""

    copies: int | None  # None is dynamic masking
    losses: list[float]
    held_out: list[float]

    @property
    def trained(self) -> float:
        """The mean training loss of the last epoch."""
        last = len(self.losses) // len(self.held_out)
        return sum(self.losses[-last:]) / last


@dataclass(frozen=True)
class Masking:
    """The same rows, model, batches and updates under three maskings."""

    once: Masked
    copied: Masked
    dynamic: Masked
    asked: float  # the share of tokens that ten copies asked for in all epochs

    @property
    def cost_of_one_mask(self) -> float:
        """How far one static mask ends above dynamic masking, in nats on held-out rows."""
        return self.once.held_out[-1] - self.dynamic.held_out[-1]

    @property
    def cost_of_ten_masks(self) -> float:
        """The same of ten static masks, which is what the paper compares."""
        return self.copied.held_out[-1] - self.dynamic.held_out[-1]


@one_thread()
def masking(
    pack: Block,
    mask_tokens: Callable[..., Task],
    static_masks: Callable[..., Data],
    position_ids: Block,
    pretrain: Callable[..., list[float]],
    *,
    profile: Profile,
    seed: int = 0,
) -> Masking:
    """Train on a few rows for many epochs: one mask, ten masks in turn, and a new mask in each epoch."""
    generator = torch.Generator().manual_seed(seed)
    count = profile.choose(smoke=12, laptop=125, gpu=125)
    rows, test = (_packed(pack, number, generator) for number in (count, profile.choose(smoke=10, laptop=100, gpu=400)))
    epochs = profile.choose(smoke=3, laptop=EPOCHS, gpu=EPOCHS)
    copies = profile.choose(smoke=2, laptop=COPIES, gpu=COPIES)
    runs, asked = [], 0.0
    for number in (1, copies, None):
        noise = noise_of(mask_tokens, seed)
        if number:
            data = static_masks(rows, number, noise)
        else:

            def data(epoch: int, noise: Callable[[Tensor], Task] = noise) -> Task:
                return noise(rows)

        if number == copies:
            seen = torch.stack([data(epoch)[1] != -100 for epoch in range(epochs)]).any(0)
            asked = float(seen[~torch.isin(rows, stories.SPECIAL)].double().mean())
        runs.append(_masked(number, data, len(rows), epochs, test, position_ids, pretrain, profile, seed))
    return Masking(*runs, asked)


def _masked(
    copies: int | None,
    data: Data,
    rows: int,
    epochs: int,
    test: Tensor,
    position_ids: Block,
    pretrain: Callable[..., list[float]],
    profile: Profile,
    seed: int,
) -> Masked:
    model = Roberta(SIZES, position_ids, seed=seed).to(profile.device)
    each, curve = -(-rows // ROWS), []

    def measure(done: int) -> None:
        if done % each == 0:
            curve.append(loss_on(model, test))

    with after_each_update(measure):
        losses = _run(model, data, epochs * each, ROWS, LEARNING_RATE, pretrain, profile, seed)
    return Masked(copies, losses, curve)


@dataclass(frozen=True)
class Format:
    """One input format: its rows and the loss of a hidden noun on held-out rows of the format, in nats."""

    name: str
    rows: int
    tokens: int  # in a batch, padding left out
    noun: float
    floor: float  # the lowest loss that rows of this format allow


@dataclass(frozen=True)
class Formats:
    """Four rows; each differs from the one before in one thing. They read the same documents, with equal tokens."""

    with_nsp: Format  # pairs, half of them with a wrong second sentence; MLM and next sentence prediction
    without_loss: Format  # the same pairs; MLM alone
    pairs: Format  # all second sentences are the next ones
    full: Format  # full sentences
    next_accuracy: float  # of next sentence prediction, on held-out pairs

    @property
    def of_the_loss(self) -> float:
        """How much the noun's loss falls when the loss of next sentence prediction is left out."""
        return self.with_nsp.noun - self.without_loss.noun

    @property
    def of_the_negatives(self) -> float:
        """How much it falls when, in addition, every second sentence is the next one."""
        return self.without_loss.noun - self.pairs.noun

    @property
    def of_the_length(self) -> float:
        """How much it falls when, in addition, rows hold as many sentences as fit."""
        return self.pairs.noun - self.full.noun


@one_thread()
def formats(
    pack: Block,
    mask_tokens: Callable[..., Task],
    position_ids: Block,
    pretrain: Callable[..., list[float]],
    *,
    profile: Profile,
    seed: int = 0,
) -> Formats:
    """Train on sentence pairs with and without next sentence prediction, and on full sentences, with equal tokens."""
    generator = torch.Generator().manual_seed(seed)
    docs = stories.documents(profile.choose(smoke=30, laptop=600, gpu=3000), generator)
    updates = profile.choose(smoke=6, laptop=500, gpu=3000)
    mixed, follows = stories.pairs(docs, True, generator)
    answers = torch.where(follows, NEXT, OTHER)
    neighbours, _ = stories.pairs(docs, False, generator)
    packed = pack(docs, LENGTH, grammar.CLS, grammar.SEP, grammar.PAD)
    two, eight = held_out_nouns(2, profile, seed), held_out_nouns(FULL, profile, seed)
    found, correct = [], 0.0
    for name, rows, size, test in (
        ("sentence pairs, with NSP", mixed, PAIRS, two),
        ("the same pairs, MLM alone", mixed, PAIRS, two),
        ("pairs of neighbours, MLM alone", neighbours, PAIRS, two),
        ("full sentences, MLM alone", packed, ROWS, eight),
    ):
        noise = noise_of(mask_tokens, seed)

        def data(epoch: int, rows: Tensor = rows, noise: Callable[[Tensor], Task] = noise, name: str = name) -> Task:
            inputs, labels = noise(rows)
            if name.endswith("NSP"):  # the first position answers for the pair
                labels = torch.cat([answers[:, None], labels[:, 1:]], 1)
            return inputs, labels

        model = Roberta(SIZES, position_ids, seed=seed).to(profile.device)
        _run(model, data, updates, size, LEARNING_RATE, pretrain, profile, seed)
        if name.endswith("NSP"):
            correct = _next_accuracy(model, profile, seed)
        tokens = round(size * float((rows != grammar.PAD).sum(1).double().mean()))
        floor = stories.noun_floor(FULL - 1 if test is eight else 1)
        found.append(Format(name, len(rows), tokens, _noun_loss(model, *test), floor))
    return Formats(*found, correct)


def held_out_nouns(clauses: int, profile: Profile, seed: int) -> tuple[Tensor, int]:
    """Return held-out rows with `clauses` clauses of one document, and where the noun is that will be hidden."""
    count = profile.choose(smoke=50, laptop=2000, gpu=8000)
    ids = stories.clauses(count, clauses, torch.Generator().manual_seed(1000 + seed))
    ends = [torch.full((count, 1), token) for token in (grammar.CLS, grammar.SEP)]
    if clauses == 2:
        parts, hidden = [ends[0], ids[:, 0], ends[1], ids[:, 1], ends[1]], 2 + grammar.CLAUSE
    else:
        parts, hidden = [ends[0], ids.flatten(1), ends[1]], 1 + clauses // 2 * grammar.CLAUSE
    return torch.cat(parts, 1).to(profile.device), hidden + stories.NOUN


@torch.no_grad()
def _noun_loss(model: Roberta, rows: Tensor, place: int) -> float:
    hidden = rows.index_fill(1, torch.tensor([place], device=rows.device), grammar.MASK)
    return float(F.cross_entropy(model(hidden)[:, place].double(), rows[:, place]))


@torch.no_grad()
def _next_accuracy(model: Roberta, profile: Profile, seed: int) -> float:
    docs = stories.documents(profile.choose(smoke=10, laptop=200, gpu=500), torch.Generator().manual_seed(2000 + seed))
    rows, follows = stories.pairs(docs, True, torch.Generator().manual_seed(seed))
    logits = model(rows.to(profile.device))[:, 0, [OTHER, NEXT]].cpu()
    return float((logits.argmax(1) == follows.long()).double().mean())


@dataclass(frozen=True)
class Batch:
    """One run: rows in a batch, updates, peak learning rate, and the loss on held-out rows in nats."""

    size: int
    updates: int
    lr: float
    held_out: float


@dataclass(frozen=True)
class Batches:
    """The same tokens, read in small and in large batches."""

    runs: tuple[Batch, ...]

    def best(self, size: int) -> Batch:
        """Return the run with batches of a size that has the lowest held-out loss."""
        return min((run for run in self.runs if run.size == size), key=lambda run: run.held_out)

    def at(self, size: int, lr: float) -> Batch:
        """Return the run with batches of a size at a learning rate."""
        return next(run for run in self.runs if (run.size, run.lr) == (size, lr))


SMALL, LARGE = 8, 128
LARGE_RATES = (LEARNING_RATE, 2 * LEARNING_RATE, 4 * LEARNING_RATE)


@one_thread()
def batches(
    pack: Block,
    mask_tokens: Callable[..., Task],
    position_ids: Block,
    pretrain: Callable[..., list[float]],
    *,
    profile: Profile,
    seed: int = 0,
) -> Batches:
    """Read the same number of rows in batches of 8 and of 128, the large ones at three learning rates."""
    generator = torch.Generator().manual_seed(seed)
    rows = _packed(pack, profile.choose(smoke=20, laptop=600, gpu=3000), generator)
    test = _packed(pack, profile.choose(smoke=10, laptop=100, gpu=400), generator)
    budget = profile.choose(smoke=256, laptop=6144, gpu=100_000)
    runs = []
    for size, lr in ((SMALL, LEARNING_RATE), *((LARGE, lr) for lr in LARGE_RATES)):
        noise = noise_of(mask_tokens, seed)
        model = Roberta(SIZES, position_ids, seed=seed).to(profile.device)
        updates = budget // size
        _run(model, lambda epoch, noise=noise: noise(rows), updates, size, lr, pretrain, profile, seed)
        runs.append(Batch(size, updates, lr, loss_on(model, test)))
    return Batches(tuple(runs))


@dataclass(frozen=True)
class Accumulated:
    """The largest relative difference from the big batch's gradient: as the exercise has it, and by means of means."""

    exact: float
    means: float


@one_thread()
def accumulated(
    mask_tokens: Callable[..., Task],
    position_ids: Block,
    accumulate: Callable[..., float],
    *,
    profile: Profile,
    seed: int = 0,
) -> Accumulated:
    """Compare gradients that were accumulated over uneven parts with the gradient of the whole batch."""
    rows = held_out_nouns(FULL, profile, seed)[0][:16].cpu()
    inputs, labels = noise_of(mask_tokens, seed)(rows)
    model = Roberta(SIZES, position_ids, seed=seed)
    parameters = list(model.parameters())
    whole = torch.autograd.grad(_loss(model, inputs, labels), parameters)
    accumulate(model, inputs, labels, 3)
    exact = [parameter.grad for parameter in parameters]
    parts = [_loss(model, *part) for part in zip(inputs.split(3), labels.split(3), strict=True)]
    means = torch.autograd.grad(torch.stack(parts).mean(), parameters)
    return Accumulated(_apart(exact, whole), _apart(means, whole))


def _apart(found: list[Tensor] | tuple[Tensor, ...], right: tuple[Tensor, ...]) -> float:
    one, other = (torch.cat([part.flatten() for part in parts]) for parts in (found, right))
    return float((one - other).norm() / other.norm())


def noise_of(mask_tokens: Callable[..., Task], seed: int) -> Callable[[Tensor], Task]:
    """Return a function that draws new noise for rows at each call."""
    generator = torch.Generator().manual_seed(3000 + seed)
    return lambda rows: mask_tokens(rows, stories.SPECIAL, grammar.MASK, grammar.VOCABULARY, RATE, generator)


@torch.no_grad()
def loss_on(model: Roberta, rows: Tensor) -> float:
    """Return the loss of a model on held-out rows, always with the same masks: every seventh word, all seven times."""
    total, count = 0.0, 0
    device = model.bias.device
    places = torch.arange(rows.shape[1])
    for start in range(7):
        chosen = (places % 7 == start) & ~torch.isin(rows, stories.SPECIAL)
        hidden = rows.masked_fill(chosen, grammar.MASK).to(device)
        labels = rows.masked_fill(~chosen, -100).to(device)
        total += float(_loss(model, hidden, labels)) * int(chosen.sum())
        count += int(chosen.sum())
    return total / count


def _loss(model: Roberta, inputs: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(model(inputs).transpose(1, 2), labels)


def _packed(pack: Block, count: int, generator: torch.Generator) -> Tensor:
    return pack(stories.documents(count, generator), LENGTH, grammar.CLS, grammar.SEP, grammar.PAD)


def _run(
    model: Roberta,
    data: Data,
    updates: int,
    size: int,
    lr: float,
    pretrain: Callable[..., list[float]],
    profile: Profile,
    seed: int,
) -> list[float]:
    def on_device(epoch: int) -> Task:
        inputs, labels = data(epoch)
        return inputs.to(profile.device), labels.to(profile.device)

    order = torch.Generator().manual_seed(4000 + seed)
    return pretrain(model, on_device, updates, size, profile.choose(smoke=32, laptop=32, gpu=size), lr, order)


@contextmanager
def after_each_update(measure: Callable[[int], None]) -> Iterator[None]:
    """Call measure(n) after update n of whatever optimiser of PyTorch runs inside, n from 1 on."""
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


claims = ()
