"""Grounding as one would ship it: whole batches at once, suppression without a loop over pairs, and its cost on a GPU.

Li et al. 2021 (arXiv 2112.03857); the focal loss is that of Lin et al. 2017 (arXiv 1708.02002). Everything follows the
device and dtype of its inputs.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
import torch.nn.functional as F
from torch import Tensor

from studium_topics.glip.model import Detector
from studium_topics.glip.scenes import Batch, batch, offsets

Tokens = Callable[[str], Sequence[tuple[int, int]]]
Found = tuple[Tensor, Tensor]

SEPARATOR = ". "
LEAST, OVERLAP = 0.3, 0.5


def build_prompt(names: Sequence[str], separator: str, offsets: Tokens) -> tuple[str, Tensor]:
    """Return the caption of names, and which of its M tokens have a character of which name, bool (c, M)."""
    lengths = [len(name) for name in names]
    starts = torch.tensor([0, *accumulate(length + len(separator) for length in lengths[:-1])])[:, None]
    ends = starts + torch.tensor(lengths)[:, None]
    caption = separator.join(names)
    start, end = torch.tensor(offsets(caption)).T
    return caption, (start < ends) & (starts < end)


def align_logits(regions: Tensor, words: Tensor, log_scale: Tensor, bias: Tensor, mask: Tensor) -> Tensor:
    """Return s O Pᵀ + b, (B, N, M), −∞ where there is no token (equation 2 of the paper, with a scale and a bias)."""
    padding = torch.zeros_like(mask, dtype=words.dtype).masked_fill(~mask, -math.inf)
    return torch.einsum("bnd,bmd->bnm", log_scale.exp() * regions, words) + (bias + padding[:, None])


def token_focal(logits: Tensor, targets: Tensor, mask: Tensor, alpha: float = 0.25, gamma: float = 2.0) -> Tensor:
    """Return the sum of the focal losses of tokens over the number of positive ones, a scalar."""
    counts = mask[:, None].to(logits.dtype)
    right = torch.where(mask[:, None], logits, 0) * (2 * targets - 1)
    weight = alpha * targets + (1 - alpha) * (1 - targets)
    losses = weight * (gamma * F.logsigmoid(-right)).exp() * F.softplus(-right)
    return (losses * counts).sum() / (targets * counts).sum().clamp(min=1)


def phrase_scores(logits: Tensor, positive: Tensor) -> Tensor:
    """Return the mean probability of each phrase's tokens, (c, N), of logits (N, M) and a map (c, M)."""
    shares = positive.to(logits.dtype) / positive.sum(1, keepdim=True)
    return shares @ logits.sigmoid().mT


def box_iou(boxes: Tensor, others: Tensor) -> Tensor:
    """Return the intersection over union (n, m) of boxes (n, 4) and (m, 4): left, top, right, bottom."""
    pairs = boxes[:, None], others[None]
    sides = torch.minimum(*(box[..., 2:] for box in pairs)) - torch.maximum(*(box[..., :2] for box in pairs))
    shared = sides.clamp(min=0).prod(-1)
    total = sum((box[..., 2:] - box[..., :2]).prod(-1) for box in pairs)
    return shared / (total - shared)


def nms(boxes: Tensor, scores: Tensor, overlap: float) -> Tensor:
    """Return the places of boxes that remain, best first; each round removes all that the best one overlaps."""
    left, kept = scores.argsort(descending=True), []
    while len(left):
        kept.append(left[:1])
        rest = left[1:]
        left = rest[box_iou(boxes[left[:1]], boxes[rest])[0] <= overlap]
    return torch.cat(kept) if kept else left


def average_precision(found: Sequence[Found], truths: Sequence[Tensor], least: float = 0.5) -> float:
    """Return the mean over truths of the precision at which each is found, 0 for those that are not."""
    hits = [_hits(boxes, scores, truth, least) for (boxes, scores), truth in zip(found, truths, strict=True)]
    order = torch.cat([scores for _, scores in found]).argsort(descending=True)
    right = torch.cat(hits).to(order.device)[order]
    precision = right.cumsum(0) / torch.arange(1, len(right) + 1, device=right.device)
    return float((precision * right).sum() / sum(map(len, truths)))


def _hits(boxes: Tensor, scores: Tensor, truth: Tensor, least: float) -> Tensor:
    """Return 1.0 for each box that takes a truth which no better box has taken, float64 (k,)."""
    hits = torch.zeros(len(boxes), dtype=torch.float64)
    overlaps = box_iou(boxes, truth)
    for place in scores.argsort(descending=True).tolist() if len(truth) else []:
        overlap, best = overlaps[place].max(0)
        if overlap >= least:
            hits[place] = 1.0
            overlaps[:, best] = -1.0
    return hits


def loss_of(model: Detector, batch: Batch) -> Tensor:
    """Return the loss of words and boxes of one batch, on the device of the model."""
    device = model.bias.device
    captions, maps = zip(*(build_prompt(names, SEPARATOR, offsets) for names in batch.names), strict=True)
    words, mask = model.read(captions)
    longest = words.shape[1]
    maps = [F.pad(positive.float(), (0, longest - positive.shape[1], 0, 1)) for positive in maps]
    targets = torch.stack([positive[owner] for positive, owner in zip(maps, batch.owner, strict=True)]).to(device)
    regions, boxes = model.look(batch.images.to(device))
    owned = batch.owner >= 0  # −1 is the row of zeros that was padded
    logits = align_logits(regions, words, model.log_scale, model.bias, mask)
    return token_focal(logits, targets, mask) + F.l1_loss(boxes[owned], batch.boxes.to(device)[owned])


def ground(
    model: Detector, batches: Iterable[Batch], lr: float, images: Tensor, names: Sequence[str]
) -> tuple[list[list[Found]], list[float]]:
    """Train on batches with Adam, then return for each image and name (boxes, scores), and the losses."""
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    losses = []
    for each in batches:
        loss = loss_of(model, each)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return find(model, images, names), losses


@torch.no_grad()
def find(model: Detector, images: Tensor, names: Sequence[str]) -> list[list[Found]]:
    """Return for each image and name the boxes that remain with a score of at least LEAST, best first."""
    caption, positive = build_prompt(names, SEPARATOR, offsets)
    words, mask = (part.expand(len(images), *part.shape[1:]) for part in model.read([caption]))
    regions, boxes = model.look(images)
    logits = align_logits(regions, words, model.log_scale, model.bias, mask)
    return [[_decoded(own, scores) for scores in phrase_scores(*pair)] for own, *pair in _each(boxes, logits, positive)]


def _each(boxes: Tensor, logits: Tensor, positive: Tensor) -> Iterable[tuple[Tensor, Tensor, Tensor]]:
    return ((own, table, positive.to(table.device)) for own, table in zip(boxes, logits, strict=True))


def _decoded(boxes: Tensor, scores: Tensor) -> Found:
    sure = scores >= LEAST
    kept = nms(boxes[sure], scores[sure], OVERLAP)
    return boxes[sure][kept], scores[sure][kept]


@dataclass(frozen=True)
class Cost:
    """What training takes: images a second, and the peak of memory in MB (0 on the CPU)."""

    images_a_second: float
    megabytes: float


def training_cost(model: Detector, size: int, *, steps: int = 10, compile: bool = False) -> Cost:  # noqa: A002
    """Measure steps of Adam on batches of `size` images, in bfloat16 and, if asked for, compiled on a GPU."""
    device = model.bias.device
    on_gpu = device.type == "cuda"
    if compile and on_gpu:
        model.trunk.compile()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4, fused=on_gpu)
    drawn = batch(size, torch.Generator().manual_seed(0))

    def step() -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=on_gpu):
            loss = loss_of(model, drawn)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    step()  # kernels are compiled and memory is reserved after the first one
    if on_gpu:
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    start = time.perf_counter()
    for _ in range(steps):
        step()
    if on_gpu:
        torch.cuda.synchronize()
    seconds = time.perf_counter() - start
    return Cost(size * steps / seconds, torch.cuda.max_memory_allocated() / 2**20 if on_gpu else 0.0)
