"""Supervised fine-tuning in full, on the CPU and on CUDA: template, loss, packing, exact match, loop, retrieval.

Beside the exercises' functions: a loop that follows the device of the model, with bf16 autocast and torch.compile,
greedy decoding, and what padding costs in tokens a second.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from studium_topics.llm_tasks.model import adapt

Message = dict[str, str]
Example = tuple[Sequence[int], Sequence[bool]]


def render(messages: Sequence[Message], numbers: dict[str, int]) -> tuple[list[int], list[bool]]:
    """Return the ids of a conversation and whether the loss sees each: the assistant's words and their [END]."""
    tokens = []
    for message in messages:
        answer = message["role"] == "assistant"
        tokens.append((f"[{message['role'].upper()}]", False))
        tokens.extend((word, answer) for word in (*message["content"].split(), "[END]"))
    return [numbers[word] for word, _ in tokens], [seen for _, seen in tokens]


def answer_loss(logits: Tensor, ids: Tensor, lit: Tensor) -> Tensor:
    """Return the mean cross-entropy () of the lit tokens; logits (B, T, V), ids and lit (B, T)."""
    labels = ids.masked_fill(~lit, -100)
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())


def greedy_matches(logits: Tensor, ids: Tensor, lit: Tensor) -> Tensor:
    """Return whether greedy decoding writes all lit tokens of a row, bool (B,).

    While it has made no mistake it reads the right text, so the logits of the right text are those that it sees.
    """
    wrong = (logits[:, :-1].argmax(-1) != ids[:, 1:]) & lit[:, 1:]
    return ~wrong.any(1)


def pack(examples: Sequence[Example], length: int, pad: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return ids, lit, positions and segments, each (R, length), of examples packed in their order (next fit)."""
    cells: list[list[tuple[int, bool, int, int]]] = [[]]
    number = 0
    for tokens, seen in examples:
        if len(cells[-1]) + len(tokens) > length:
            cells.append([])
            number = 0
        number += 1
        places = enumerate(zip(tokens, seen, strict=True))
        cells[-1].extend((token, bool(light) and at > 0, at, number) for at, (token, light) in places)
    full = torch.tensor([row + [(pad, False, 0, 0)] * (length - len(row)) for row in cells])  # (R, length, 4)
    ids, lit, positions, segments = full.unbind(-1)
    return ids, lit.bool(), positions, segments


def block_mask(segments: Tensor) -> Tensor:
    """Return which tokens (rows) may look at which (columns), bool (B, T, T): earlier ones of their own example."""
    places = torch.arange(segments.shape[1], device=segments.device)
    return (segments[:, :, None] == segments[:, None, :]) & (places[:, None] >= places)


def finetune(
    base: nn.Module,
    conversations: Sequence[Sequence[Message]],
    held_out: Sequence[Sequence[Message]],
    numbers: dict[str, int],
    rank: int,
    length: int,
    batch: int,
    lr: float,
    generator: torch.Generator,
    *,
    bf16: bool = True,
    compile: bool = False,  # noqa: A002 - torch's own word for it
) -> tuple[nn.Module, list[float], float]:
    """Return base with LoRA fine-tuned on packed conversations, the loss of each step, and the exact match on held_out.

    Everything follows the device of base; bf16 and compile do nothing on the CPU.
    """
    device = next(base.parameters()).device
    model = adapt(base, rank, generator)
    if compile and device.type == "cuda":
        model.compile()
    packed = pack([render(talk, numbers) for talk in conversations], length, numbers["[PAD]"])
    steps = math.ceil(len(packed[0]) / batch)
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=lr)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / steps)
    losses = []
    for rows in zip(*(part.to(device).split(batch) for part in packed), strict=True):
        optimizer.zero_grad()
        loss = _row_loss(model, rows, bf16)
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.detach())
    return model, torch.stack(losses).tolist(), exact_match(model, held_out, numbers, length)


def _row_loss(model: nn.Module, rows: Sequence[Tensor], bf16: bool) -> Tensor:
    ids, lit, positions, segments = rows
    with torch.autocast(ids.device.type, torch.bfloat16, enabled=bf16 and ids.is_cuda):
        logits = model(ids, positions, block_mask(segments))
    return answer_loss(logits.float() if ids.is_cuda else logits, ids, lit)


@torch.no_grad()
def exact_match(
    model: nn.Module, conversations: Sequence[Sequence[Message]], numbers: dict[str, int], length: int
) -> float:
    """Return the share of conversations whose answers greedy decoding writes exactly, each padded to a row."""
    device = next(model.parameters()).device
    examples = [render(talk, numbers) for talk in conversations]
    rows = [pack([one], max(length, len(one[0])), numbers["[PAD]"])[:2] for one in examples]
    found = [greedy_matches(model(ids.to(device)), ids.to(device), lit.to(device)) for ids, lit in rows]
    return float(torch.cat(found).double().mean())


@torch.no_grad()
def answer(model: nn.Module, messages: Sequence[Message], numbers: dict[str, int], most: int = 20) -> list[int]:
    """Return what the assistant writes next, greedily, up to its [END] or `most` tokens; [END] is left out."""
    ids = [*render(messages, numbers)[0], numbers["[ASSISTANT]"]]
    written: list[int] = []
    device = next(model.parameters()).device
    while len(written) < most:
        token = int(model(torch.tensor([ids + written], device=device))[0, -1].argmax())
        if token == numbers["[END]"]:
            break
        written.append(token)
    return written


def retrieve(query: Sequence[str], documents: Sequence[Sequence[str]], k: int) -> list[int]:
    """Return the k documents nearest to a query by the cosine of their tf-idf vectors, nearest first."""
    words = sorted({word for document in documents for word in document})
    column = {word: at for at, word in enumerate(words)}
    counts = torch.zeros(len(documents) + 1, len(words), dtype=torch.float64)
    for row, text in enumerate((*documents, query)):
        for word, count in Counter(text).items():
            if word in column:
                counts[row, column[word]] = count
    weights = counts * torch.log(len(documents) / (counts[:-1] > 0).sum(0))
    units = F.normalize(weights, dim=1)
    near = (units[:-1] @ units[-1]).mul(1e9).round()  # equal up to rounding is equal
    return torch.sort(near, descending=True, stable=True).indices[:k].tolist()


def throughput(model: nn.Module, examples: Sequence[Example], length: int, pad: int, *, packed: bool) -> float:
    """Return how many real tokens a second go through a forward and backward pass, packed or one example a row.

    Measured on the device of the model, after a first pass that warms it up.
    """
    groups = [list(examples)] if packed else [[example] for example in examples]
    parts = [pack(group, length, pad) for group in groups]
    device = next(model.parameters()).device
    rows = [torch.cat(tensors).to(device) for tensors in zip(*parts, strict=True)]
    real = int((rows[3] > 0).sum())
    for _ in range(2):
        start = time.perf_counter()
        _row_loss(model, rows, bf16=True).backward()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
    return real / (time.perf_counter() - start)
