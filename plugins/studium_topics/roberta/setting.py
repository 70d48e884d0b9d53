"""What all trainings share: the sizes, the noise, the held-out loss, and one run of the reader's loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from studium import Profile
from torch import Tensor
from torch.optim.optimizer import register_optimizer_step_post_hook

from studium_topics.kits import grammar
from studium_topics.roberta import stories
from studium_topics.roberta.model import Roberta, Sizes

Task = tuple[Tensor, Tensor]
Data = Callable[[int], Task]
Block = Callable[..., Any]
Pretrain = Callable[..., list[float]]

FULL = 8  # clauses in a row of FULL-SENTENCES
LENGTH = 2 + FULL * grammar.CLAUSE
SIZES = Sizes(vocabulary=grammar.VOCABULARY + 2, length=LENGTH, pad=grammar.PAD)  # two more for the answers of NSP
RATE = 0.15  # of masking
LEARNING_RATE = 2e-3
ROWS = 16  # packed rows in a batch: 672 tokens with padding


def noise_of(mask_tokens: Block) -> Callable[[Tensor, torch.Generator], Task]:
    """Return the noise of BERT for the grammar's words: noise(rows, generator) gives inputs and labels."""
    return lambda rows, generator: mask_tokens(rows, stories.SPECIAL, grammar.MASK, grammar.VOCABULARY, RATE, generator)


def dynamic(rows: Tensor, mask_tokens: Block, seed: int) -> Data:
    """Return data with new masks in each epoch."""
    noise, generator = noise_of(mask_tokens), torch.Generator().manual_seed(3000 + seed)
    return lambda epoch: noise(rows, generator)


def held_out_nouns(clauses: int, profile: Profile, seed: int) -> tuple[Tensor, int]:
    """Return held-out rows with 2 or more clauses of one document each, and where the noun is that will be hidden.

    Two clauses make a sentence pair with its separator; more of them make a packed row.
    """
    count = profile.choose(smoke=50, laptop=2000, gpu=8000)
    ids = stories.clauses(count, clauses, torch.Generator().manual_seed(1000 + seed))
    cls, sep = (torch.full((count, 1), token) for token in (grammar.CLS, grammar.SEP))
    if clauses == 2:
        parts, hidden = [cls, ids[:, 0], sep, ids[:, 1], sep], 2 + grammar.CLAUSE
    else:
        parts, hidden = [cls, ids.flatten(1), sep], 1 + clauses // 2 * grammar.CLAUSE
    return torch.cat(parts, 1).to(profile.device), hidden + stories.NOUN


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
        total += float(mean_loss(model, hidden, labels)) * int(chosen.sum())
        count += int(chosen.sum())
    return total / count


def mean_loss(model: Roberta, inputs: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(model(inputs).transpose(1, 2), labels)


def packed(pack: Block, count: int, generator: torch.Generator) -> Tensor:
    return pack(stories.documents(count, generator), LENGTH, grammar.CLS, grammar.SEP, grammar.PAD)


def train_on(
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
        noisy, words = data(epoch)
        return noisy.to(profile.device), words.to(profile.device)

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
