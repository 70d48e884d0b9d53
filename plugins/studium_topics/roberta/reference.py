"""RoBERTa's pipeline and loop as one would ship them; see the exercises of the same names.

Liu et al. 2019 (arXiv 1907.11692). Masking follows the device of its ids, so that on CUDA it runs beside the model;
`pretrain` can compile the model and compute in bfloat16 there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Task = tuple[Tensor, Tensor]


def coverage(rate: float, epochs: int, copies: int | None) -> float:
    """Return the expected share of positions that are asked for at least once; copies=None is dynamic masking."""
    return 1 - (1 - rate) ** (epochs if copies is None else min(epochs, copies))


def pack(documents: Sequence[Sequence[Sequence[int]]], length: int, cls: int, sep: int, pad: int) -> Tensor:
    """Return FULL-SENTENCES (section 4.2): whole sentences in order, packed into rows (N, length)."""
    rows: list[list[int]] = []
    row = [cls]
    for document in documents:
        first = True
        for sentence in document:
            border = [sep] if first and len(row) > 1 else []
            if len(row) + len(border) + len(sentence) + 1 > length:
                rows.append([*row, sep])
                row, border = [cls], []
            row += [*border, *sentence]
            first = False
    if len(row) > 1:
        rows.append([*row, sep])
    return torch.tensor([row + [pad] * (length - len(row)) for row in rows]).reshape(-1, length)


def mask_tokens(
    ids: Tensor, special: Tensor, mask_id: int, vocabulary: int, rate: float, generator: torch.Generator
) -> Task:
    """Return the noisy ids and the labels of masked language modelling, (B, T) each; -100 where nothing was chosen.

    special (S,): ids that are never chosen. generator: on the CPU; the draws follow ids to its device.
    """
    chance, kind = torch.rand(2, *ids.shape, generator=generator).to(ids.device)
    word = torch.randint(vocabulary, ids.shape, generator=generator).to(ids.device)
    chosen = (chance < rate) & ~torch.isin(ids, special)
    noisy = torch.where(chosen & (kind < 0.8), mask_id, ids)
    return torch.where(chosen & (kind >= 0.9), word, noisy), ids.masked_fill(~chosen, -100)


def static_masks(
    rows: Tensor, copies: int, epochs: int, noise: Callable[[Tensor, torch.Generator], Task], generator: torch.Generator
) -> list[Task]:
    """Return the data of each epoch where every row was masked `copies` times beforehand (section 4.1)."""
    versions = [noise(rows, generator) for _ in range(copies)]
    return [versions[epoch % copies] for epoch in range(epochs)]


def position_ids(ids: Tensor, pad: int) -> Tensor:
    """Return RoBERTa's positions, (B, T): real tokens count up from pad + 1, padding has pad."""
    real = ids != pad
    return real.long().cumsum(1) * real + pad


def accumulate(model: nn.Module, inputs: Tensor, labels: Tensor, micro: int) -> float:
    """Add the gradient of the mean loss of all chosen tokens to `.grad`, `micro` rows at a time; return that loss."""
    count = int((labels != -100).sum())
    total = torch.zeros((), device=inputs.device)
    for some, wanted in zip(inputs.split(micro), labels.split(micro), strict=True):
        loss = F.cross_entropy(model(some).flatten(0, 1), wanted.flatten(), reduction="sum") / count
        loss.backward()
        total += loss.detach()
    return float(total)


def pretrain(
    model: nn.Module,
    data: Callable[[int], Task],
    updates: int,
    batch: int,
    micro: int,
    lr: float,
    generator: torch.Generator,
    *,
    bf16: bool = False,
    compile: bool = False,  # noqa: A002 - torch's own word for it
) -> list[float]:
    """Return the loss of each update of AdamW with RoBERTa's recipe (table 9): warm-up, linear decay, no clipping.

    data(epoch) gives inputs and labels (N, T). bf16, compile: autocast and torch.compile, on CUDA alone.
    """
    parameters = list(model.parameters())
    device = parameters[0].device
    fast = device.type == "cuda"
    if compile and fast:
        model.compile()
    groups = [
        {"params": [p for p in parameters if (p.ndim >= 2) is matrix], "weight_decay": 0.01 * matrix}
        for matrix in (True, False)
    ]
    optimizer = torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.98), eps=1e-6)
    warm = max(1, updates // 10)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda done: min((done + 1) / warm, (updates - done) / (updates + 1 - warm))
    )
    losses: list[float] = []
    epoch = 0
    while len(losses) < updates:
        inputs, labels = data(epoch)
        order = torch.randperm(len(inputs), generator=generator)
        for rows in order.split(batch)[: updates - len(losses)]:
            optimizer.zero_grad()
            rows = rows.to(inputs.device)
            with torch.autocast(device.type, torch.bfloat16, enabled=bf16 and fast):
                losses.append(accumulate(model, inputs[rows].to(device), labels[rows].to(device), micro))
            optimizer.step()
            schedule.step()
        epoch += 1
    return losses


def bpe(text: str, merges: Sequence[tuple[int, int]]) -> list[int]:
    """Return the ids of a text in byte-level byte-pair encoding; merge number k makes the id 256 + k of a pair."""
    ids = list(text.encode())
    for new, pair in enumerate(merges, start=256):
        merged: list[int] = []
        for one in ids:
            if merged and (merged[-1], one) == tuple(pair):
                merged[-1] = new
            else:
                merged.append(one)
        ids = merged
    return ids
