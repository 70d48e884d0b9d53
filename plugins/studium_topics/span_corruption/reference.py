"""Span corruption whole: the solutions, vectorised for a batch, and T5's pretraining with bf16 and torch.compile."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def random_lengths(total: int, parts: int, generator: torch.Generator) -> Tensor:
    """Return `parts` positive lengths (long) that sum to `total`, uniform over all such lists."""
    cuts = torch.randperm(total - 1, generator=generator)[: parts - 1].sort().values + 1
    return torch.cat([cuts.new_zeros(1), cuts, cuts.new_full((1,), total)]).diff()


def noise_counts(length: int, density: float, mean: float) -> tuple[int, int]:
    """Return how many tokens of a text are hidden, and in how many spans: T5's `random_spans_noise_mask`."""
    hidden = min(max(round(length * density), 1), length - 1)
    return hidden, min(max(round(hidden / mean), 1), length - hidden)


def span_mask(length: int, density: float, mean: float, generator: torch.Generator) -> Tensor:
    """Return bool (length,), True where hidden; kept and hidden runs alternate, the last one is hidden."""
    hidden, spans = noise_counts(length, density, mean)
    kept = random_lengths(length - hidden, spans, generator)
    runs = torch.stack([kept, random_lengths(hidden, spans, generator)], 1).flatten()
    return torch.tensor([False, True]).repeat(spans).repeat_interleave(runs)


def span_masks(batch: int, length: int, density: float, mean: float, generator: torch.Generator) -> Tensor:
    """Return `batch` such masks (batch, length) on the generator's device, without a loop over texts or spans."""
    hidden, spans = noise_counts(length, density, mean)
    kept, lost = (_starts(batch, total, spans, generator).cumsum(1) for total in (length - hidden, hidden))
    # the last token of each run of a kind; kept run k is followed by hidden run k
    run = torch.cat([2 * kept, 2 * lost + 1], 1)  # (batch, length): the run of each token, kept tokens first
    return run.sort(1).values % 2 == 1


def _starts(batch: int, total: int, parts: int, generator: torch.Generator) -> Tensor:
    """Return long (batch, total), 1 where a new piece begins, parts - 1 of them and never at the first place."""
    device = generator.device
    order = torch.rand(batch, max(1, total - 1), generator=generator, device=device).argsort(1)
    chosen = (order < parts - 1).long()[:, : total - 1]
    return F.pad(chosen, (1, 0))


def corrupt(ids: Tensor, mask: Tensor, sentinels: list[int], eos: int) -> tuple[Tensor, Tensor]:
    """Return inputs and targets (long, one-dimensional) of a text (T,) whose True places are hidden."""
    starts = mask & ~F.pad(mask, (1, 0))[:-1]
    names = torch.tensor([*sentinels, eos], device=ids.device)[(starts.cumsum(0) - 1).clamp(0, len(sentinels))]
    inputs = torch.where(starts, names, ids)[~mask | starts]
    targets = torch.stack([names, ids], 1)[torch.stack([starts, mask], 1)]
    end = ids.new_full((1,), eos)
    return torch.cat([inputs, end]), torch.cat([targets, end])


def corrupt_batch(ids: Tensor, masks: Tensor, sentinels: Tensor, eos: int) -> tuple[Tensor, Tensor]:
    """Return inputs (B, S) and targets (B, T) of texts (B, N) on their device, where all masks have equal counts.

    Counts that do not vary are what makes this possible: every row has the same lengths, so nothing is padded and no
    size is read back from the device.
    """
    batch = len(ids)
    starts = masks & ~F.pad(masks, (1, 0))[:, :-1]
    names = sentinels[(starts.cumsum(1) - 1).clamp(min=0)]
    inputs = torch.where(starts, names, ids)[~masks | starts].view(batch, -1)
    targets = torch.stack([names, ids], 2)[torch.stack([starts, masks], 2)].view(batch, -1)
    end = ids.new_full((batch, 1), eos)
    return torch.cat([inputs, end], 1), torch.cat([targets, end], 1)


def restore(inputs: Tensor, targets: Tensor, sentinels: list[int], eos: int) -> Tensor:
    """Return the text (long) that inputs and targets make together; gaps without a span stay empty."""
    spans: dict[int, list[int]] = {}
    current: list[int] = []
    for token in targets.tolist():
        if token in sentinels:
            spans[token] = current = []
        elif token != eos:
            current.append(token)
    text: list[int] = []
    for token in inputs.tolist():
        text += spans.get(token, []) if token in sentinels else [token] * (token != eos)
    return torch.tensor(text, dtype=torch.long)


def expected_target(length: int, density: float) -> float:
    """Return the expected number of target tokens if each token is hidden by itself: E[hidden] + E[runs] + 1."""
    return 2 * length * density - (length - 1) * density**2 + 1


def raw_length(inputs_length: int, density: float, mean: float) -> tuple[int, int]:
    """Return the length of the longest text whose inputs fit, and that of its targets: T5's `random_spans_helper`."""

    def lengths(raw: int) -> tuple[int, int]:
        hidden, spans = noise_counts(raw, density, mean)
        return raw - hidden + spans + 1, hidden + spans + 1

    raw = 2
    while lengths(raw + 1)[0] <= inputs_length:
        raw += 1
    return raw, lengths(raw)[1]


def shift_right(labels: Tensor, start: int, pad: int) -> Tensor:
    """Return the decoder's inputs (B, T): labels one place to the right, `start` first, -100 as `pad`."""
    return F.pad(labels.masked_fill(labels == -100, pad), (1, 0), value=start)[:, :-1]


def collate(
    texts: list[Tensor],
    density: float,
    mean: float,
    sentinels: list[int],
    eos: int,
    pad: int,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return inputs (B, S), decoder inputs (B, T) and labels (B, T) of a batch; labels are filled up with -100.

    Texts of one length need no padding, and are masked and corrupted all at once.
    """
    if len({len(ids) for ids in texts}) == 1:
        ids = torch.stack(texts)
        masks = span_masks(*ids.shape, density, mean, generator)
        padded, labels = corrupt_batch(ids, masks, torch.tensor(sentinels), eos)
        return padded, shift_right(labels, pad, pad), labels
    pairs = [corrupt(ids, span_mask(len(ids), density, mean, generator), sentinels, eos) for ids in texts]
    inputs, targets = (list(side) for side in zip(*pairs, strict=True))
    labels = nn.utils.rnn.pad_sequence(targets, batch_first=True, padding_value=-100)
    padded = nn.utils.rnn.pad_sequence(inputs, batch_first=True, padding_value=pad)
    return padded, shift_right(labels, pad, pad), labels


def pretrain(
    model: nn.Module,
    batch: Callable[[int], tuple[Tensor, Tensor, Tensor]],
    steps: int,
    lr: float,
    *,
    compile: bool = False,  # noqa: A002 - torch's own word for it
) -> list[float]:
    """Train a model in place and return the loss of each step: AdamW, one cycle of the rate, gradients clipped at 1.

    batch(step) returns inputs, decoder inputs and labels. On CUDA the forward pass runs in bfloat16, and with `compile`
    through torch.compile, which pays because exact counts keep all shapes the same.
    """
    device = next(model.parameters()).device
    cuda = device.type == "cuda"
    forward = torch.compile(model) if compile and cuda else model
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, betas=(0.9, 0.98), weight_decay=0.0, fused=cuda)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=lr, total_steps=steps)
    losses = []
    for step in range(steps):
        inputs, decoder_inputs, labels = batch(step)
        with torch.autocast(device.type, torch.bfloat16, enabled=cuda):
            logits = forward(inputs, decoder_inputs)
        loss = F.cross_entropy(logits.float().flatten(0, 1), labels.flatten(), ignore_index=-100)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        losses.append(loss.detach())
    return torch.stack(losses).tolist()
