"""Ablation 2: from sentence pairs with NSP to full sentences, one change at a time."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from studium import Profile
from torch import Tensor

from studium_topics.kits import grammar
from studium_topics.kits.training import one_thread
from studium_topics.roberta import setting, stories
from studium_topics.roberta.model import Roberta
from studium_topics.roberta.setting import FULL, Block, Data, Pretrain, Task

NEXT, OTHER = setting.SIZES.vocabulary - 2, setting.SIZES.vocabulary - 1  # the answers of next sentence prediction
PAIRS = 52  # in a batch: 676 tokens, about as many as in 16 packed rows


@dataclass(frozen=True)
class Format:
    """One input format: its rows and the loss of a hidden noun on held-out rows of the format, in nats."""

    name: str
    tokens: int  # in a batch, padding left out
    noun: float
    floor: float  # the lowest loss that rows of this format allow


@dataclass(frozen=True)
class Formats:
    """Four runs; each differs from the one before in one thing. They read the same documents, with equal tokens."""

    with_nsp: Format
    without_loss: Format
    pairs: Format
    full: Format
    next_accuracy: float  # of next sentence prediction, on held-out pairs

    @property
    def runs(self) -> tuple[Format, ...]:
        """The four runs, in order."""
        return self.with_nsp, self.without_loss, self.pairs, self.full

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
    pack: Block, mask_tokens: Block, position_ids: Block, pretrain: Pretrain, *, profile: Profile, seed: int = 0
) -> Formats:
    """Train on sentence pairs with and without next sentence prediction, and on full sentences, with equal tokens.

    Measured at laptop, seed 0, in 53 s of CPU time on a busy machine: a hidden noun costs 2.17 nats with NSP, 2.13
    without its loss, 1.80 in pairs of neighbours and 1.39 in full sentences; NSP is right in 74.5 % of held-out pairs.
    """
    generator = torch.Generator().manual_seed(seed)
    docs = stories.documents(profile.choose(smoke=30, laptop=600, gpu=3000), generator)
    updates = profile.choose(smoke=6, laptop=500, gpu=3000)
    mixed, follows = stories.pairs(docs, True, generator)
    answers = torch.where(follows, NEXT, OTHER)
    neighbours, _ = stories.pairs(docs, False, generator)
    packed = pack(docs, setting.LENGTH, grammar.CLS, grammar.SEP, grammar.PAD)
    found, correct = [], 0.0
    for name, rows, asks in (
        ("sentence pairs, with NSP", mixed, answers),
        ("the same pairs, MLM alone", mixed, None),
        ("pairs of neighbours, MLM alone", neighbours, None),
        ("full sentences, MLM alone", packed, None),
    ):
        task = asking(setting.dynamic(rows, mask_tokens, seed), asks)
        size, clauses = (setting.ROWS, FULL) if rows is packed else (PAIRS, 2)
        model = Roberta(setting.SIZES, position_ids, seed=seed).to(profile.device)
        setting.train_on(model, task, updates, size, setting.LEARNING_RATE, pretrain, profile, seed)
        correct = correct if asks is None else _next_accuracy(model, profile, seed)
        tokens = round(size * float((rows != grammar.PAD).sum(1).double().mean()))
        noun = noun_loss(model, *setting.held_out_nouns(clauses, profile, seed))
        found.append(Format(name, tokens, noun, stories.noun_floor(clauses - 1)))
    return Formats(*found, correct)


def asking(data: Data, answers: Tensor | None) -> Data:
    """Return data in which the first position of each row is asked for an answer (N,), if there are answers."""

    def with_answers(epoch: int) -> Task:
        noisy, words = data(epoch)
        return noisy, words if answers is None else torch.cat([answers[:, None], words[:, 1:]], 1)

    return with_answers


@torch.no_grad()
def noun_loss(model: Roberta, rows: Tensor, place: int) -> float:
    """Return the mean loss of the nouns at `place` of each row, in nats, where they alone are hidden."""
    hidden = rows.index_fill(1, torch.tensor([place], device=rows.device), grammar.MASK)
    return float(F.cross_entropy(model(hidden)[:, place].double(), rows[:, place]))


@torch.no_grad()
def _next_accuracy(model: Roberta, profile: Profile, seed: int) -> float:
    docs = stories.documents(profile.choose(smoke=10, laptop=200, gpu=500), torch.Generator().manual_seed(2000 + seed))
    rows, follows = stories.pairs(docs, True, torch.Generator().manual_seed(seed))
    logits = model(rows.to(profile.device))[:, 0, [OTHER, NEXT]].cpu()
    return float((logits.argmax(1) == follows.long()).double().mean())
