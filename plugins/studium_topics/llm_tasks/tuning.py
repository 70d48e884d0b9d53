"""The tiny base model, the material to tune it on, and a fine-tuning run with the settings of this lesson."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Sequence
from functools import cache

import torch
import torch.nn.functional as F
from studium import Profile
from torch import Tensor

from studium_topics.kits.training import one_thread, train
from studium_topics.llm_tasks import tape
from studium_topics.llm_tasks.model import TapeLM, base_model
from studium_topics.llm_tasks.tape import Clause, Conversation

Render = Callable[..., tuple[list[int], list[bool]]]
Finetune = Callable[..., tuple[TapeLM, list[float], float]]
Matches = Callable[[Tensor, Tensor, Tensor], Tensor]
NUMBERS = tape.NUMBERS
LENGTH, BATCH, RANK, RATE = 64, 8, 8, 1e-2  # tokens of a row, rows of a step, rank and first learning rate of LoRA


@cache
@one_thread()
@torch.enable_grad()
def _pretrained(profile: Profile) -> TapeLM:
    model = base_model(len(tape.WORDS))
    steps = profile.choose(smoke=20, laptop=600, gpu=1500)

    def loss(generator: torch.Generator) -> Tensor:
        ids = tape.pages(16, 49, generator)
        return F.cross_entropy(model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())

    train(model, loss, steps, 3e-3, schedule="onecycle", quiet=True)
    return model


def pretrained(profile: Profile) -> TapeLM:
    """Return a copy of the tiny base model, which has read pages and no task."""
    return copy.deepcopy(_pretrained(profile))


def split(seed: int) -> tuple[list[Clause], list[Clause]]:
    """Return the 1782 clauses of the grammar in random order: nine tenths to train on, and a tenth that is held out."""
    every = list(tape.EVERY)
    random.Random(seed).shuffle(every)
    cut = len(every) // 10
    return every[cut:], every[:cut]


def material(tasks: Sequence[str], count: int, clauses: Sequence[Clause], seed: int) -> list[Conversation]:
    """Return `count` conversations of one turn: a task drawn from `tasks`, its name in front, and a clause."""
    chance = random.Random(seed)
    return [tape.turn(chance.choice(tasks), chance.choice(clauses)) for _ in range(count)]


@torch.no_grad()
def match(model: TapeLM, conversations: Sequence[Conversation], render: Render, greedy_matches: Matches) -> float:
    """Return the exact match on conversations of one length: the share that greedy decoding would write."""
    ids, lit = (torch.tensor(part) for part in zip(*(render(one, NUMBERS) for one in conversations), strict=True))
    return float(greedy_matches(model(ids), ids, lit).double().mean())


def tuned(
    finetune: Finetune,
    base: TapeLM,
    conversations: list[Conversation],
    held_out: list[Conversation],
    seed: int,
    length: int = LENGTH,
) -> tuple[TapeLM, list[float], float]:
    """Return what `finetune` returns for these conversations, with the rank, the rate and the rows of this lesson."""
    generator = torch.Generator().manual_seed(seed)
    return finetune(base, conversations, held_out, NUMBERS, RANK, length, BATCH, RATE, generator)
