"""Ablation 3: small and large batches at equal tokens, and the gradient of a batch in parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from studium import Profile
from torch import Tensor

from studium_topics.kits.training import one_thread
from studium_topics.roberta import setting
from studium_topics.roberta.model import Roberta
from studium_topics.roberta.setting import Block, Pretrain

SMALL, LARGE = 8, 128
RATE = setting.LEARNING_RATE
RUNS = ((SMALL, RATE), (LARGE, RATE), (LARGE, 4 * RATE), (LARGE, 8 * RATE))


@dataclass(frozen=True)
class Batch:
    """One run: rows in a batch, updates, peak learning rate, and the loss on held-out rows in nats."""

    size: int
    updates: int
    lr: float
    held_out: float


@dataclass(frozen=True)
class Batches:
    """The same tokens, read in small and in large batches, the large ones at three learning rates."""

    runs: tuple[Batch, ...]

    @property
    def at_one_rate(self) -> float:
        """How far the large batch ends above the small one at the same learning rate."""
        small, large, *_ = self.runs
        return large.held_out - small.held_out

    @property
    def at_the_best_rate(self) -> float:
        """How far the large batch ends above the small one at the best of its rates."""
        small, *large = self.runs
        return min(run.held_out for run in large) - small.held_out


@one_thread()
def batches(
    pack: Block, mask_tokens: Block, position_ids: Block, pretrain: Pretrain, *, profile: Profile, seed: int = 0
) -> Batches:
    """Read the same number of rows in batches of 8 and of 128, the large ones at three learning rates.

    Measured at laptop, seed 0, in 22 s of CPU time on a busy machine: batches of 8 end at 1.22 nats on held-out rows,
    of 128 at 2.59 with the same rate, 1.86 with four times the rate and 1.70 with eight times the rate.
    """
    generator = torch.Generator().manual_seed(seed)
    rows = setting.packed(pack, profile.choose(smoke=20, laptop=600, gpu=3000), generator)
    test = setting.packed(pack, profile.choose(smoke=10, laptop=100, gpu=400), generator)
    budget = profile.choose(smoke=256, laptop=4096, gpu=100_000)  # rows
    runs = []
    for size, lr in RUNS:
        data = setting.dynamic(rows, mask_tokens, seed)
        model = Roberta(setting.SIZES, position_ids, seed=seed).to(profile.device)
        updates = budget // size
        setting.train_on(model, data, updates, size, lr, pretrain, profile, seed)
        runs.append(Batch(size, updates, lr, setting.loss_on(model, test)))
    return Batches(tuple(runs))


@dataclass(frozen=True)
class Accumulated:
    """The relative distance from the gradient of the whole batch: of the reader's function, and of a mean of means."""

    exact: float
    means: float


@one_thread()
def accumulated(
    mask_tokens: Block, position_ids: Block, accumulate: Block, *, profile: Profile, seed: int = 0
) -> Accumulated:
    """Compare gradients that were accumulated over uneven parts with the gradient of the whole batch."""
    rows = setting.held_out_nouns(setting.FULL, profile, seed)[0][:16].cpu()
    inputs, labels = setting.dynamic(rows, mask_tokens, seed)(0)
    model = Roberta(setting.SIZES, position_ids, seed=seed)
    parameters = list(model.parameters())
    whole = torch.autograd.grad(setting.mean_loss(model, inputs, labels), parameters)
    accumulate(model, inputs, labels, 3)
    exact = [parameter.grad for parameter in parameters if parameter.grad is not None]
    parts = [setting.mean_loss(model, *part) for part in zip(inputs.split(3), labels.split(3), strict=True)]
    means = torch.autograd.grad(torch.stack(parts).mean(), parameters)
    return Accumulated(_apart(exact, whole), _apart(means, whole))


def _apart(found: Sequence[Tensor], right: Sequence[Tensor]) -> float:
    one, other = (torch.cat([part.flatten() for part in parts]) for parts in (found, right))
    return float((one - other).norm() / other.norm())
