"""CLIP's loss as one would ship it, for batches whose N² logits do not fit, and what it takes on a GPU.

Radford et al. 2021 (arXiv 2103.00020). Everything follows the device and dtype of its inputs.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

LARGEST_SCALE = 100.0


def scale_of(log_scale: Tensor) -> Tensor:
    """exp(log_scale), held to at most 100; the gradient is 0 beyond."""
    return log_scale.clamp(max=math.log(LARGEST_SCALE)).exp()


def clip_logits(images: Tensor, texts: Tensor, log_scale: Tensor) -> Tensor:
    """Scaled cosines (N, M) of features (N, d) and (M, d)."""
    return (scale_of(log_scale) * F.normalize(images, dim=-1)) @ F.normalize(texts, dim=-1).mT


def clip_loss(logits: Tensor) -> Tensor:
    """The symmetric cross-entropy of logits (N, N) whose diagonal is right, a scalar (figure 3 of the paper)."""
    right = logits.diagonal()
    return (logits.logsumexp(0) + logits.logsumexp(1) - 2 * right).mean() / 2


def multi_positive_loss(logits: Tensor, caption_ids: Tensor) -> Tensor:
    """The symmetric loss of logits (N, N) in which pairs with equal ids (N,) match, each with an equal share."""
    same = caption_ids[:, None] == caption_ids
    right = (logits * same).sum(1) / same.sum(1) + (logits * same).sum(0) / same.sum(0)
    return (logits.logsumexp(0) + logits.logsumexp(1) - right).mean() / 2


def zero_shot_weights(embed: Callable[[list[str]], Tensor], names: Sequence[str], templates: Sequence[str]) -> Tensor:
    """Unit columns (d, C): for each name the mean of its normalised prompts; all prompts in one call of `embed`."""
    prompts = [template.format(name) for name in names for template in templates]
    features = F.normalize(embed(prompts), dim=-1).unflatten(0, (len(names), len(templates)))
    return F.normalize(features.mean(1), dim=-1).mT


def recall_at_k(similarity: Tensor, k: int) -> tuple[float, float]:
    """The shares of pictures (rows) and of texts (columns) of (N, N) that find their own among the first k."""
    own = similarity.diagonal()
    pictures, texts = ((table >= own[:, None]).sum(1) <= k for table in (similarity, similarity.mT))
    return float(pictures.double().mean()), float(texts.double().mean())


def shift_gap(images: Tensor, texts: Tensor, amount: float) -> tuple[Tensor, Tensor]:
    """Unit features (N, d), (M, d), moved by amount / 2 of the gap between their means, and normalised again."""
    images, texts = F.normalize(images, dim=-1), F.normalize(texts, dim=-1)
    half = 0.5 * amount * (images.mean(0) - texts.mean(0))
    return F.normalize(images - half, dim=-1), F.normalize(texts + half, dim=-1)


def chunked_clip_loss(images: Tensor, texts: Tensor, log_scale: Tensor, rows: int) -> Tensor:
    """clip_loss(clip_logits(...)) with never more than `rows` rows of logits in memory, in the backward pass as well.

    Each block of logits is thrown away and computed again for its gradient, so memory grows with N · rows and not with
    N², for one more matrix product in three.
    """
    images, texts = scale_of(log_scale) * F.normalize(images, dim=-1), F.normalize(texts, dim=-1)
    total = images.new_zeros((), dtype=torch.float32)
    for asking, answering in ((images, texts), (texts, images)):
        for start in range(0, len(asking), rows):
            total = total + checkpoint(_losses_of, asking[start : start + rows], answering, start, use_reentrant=False)
    return total / (2 * len(images))


def _losses_of(asking: Tensor, answering: Tensor, start: int) -> Tensor:
    logits = (asking @ answering.mT).float()
    return (logits.logsumexp(1) - logits.diagonal(start)).sum()


@dataclass(frozen=True)
class Cost:
    """What one step of a loss, forward and backward, takes: pairs a second, and the peak of memory in MB (0 on CPU)."""

    pairs_a_second: float
    megabytes: float


def loss_cost(batch: int, rows: int | None = None, *, width: int = 512, device: str = "cuda", steps: int = 10) -> Cost:
    """Measure the loss alone on random features in bfloat16, whole (rows=None) or in blocks of `rows` rows."""
    shape = {"dtype": torch.bfloat16, "device": device, "requires_grad": True}
    images, texts = (torch.randn(batch, width, **shape) for _ in range(2))
    log_scale = torch.tensor(math.log(1 / 0.07), **shape)

    def step() -> None:
        if rows is None:
            loss = clip_loss(clip_logits(images, texts, log_scale).float())
        else:
            loss = chunked_clip_loss(images, texts, log_scale, rows)
        torch.autograd.grad(loss, (images, texts, log_scale))

    on_gpu = images.is_cuda
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
    return Cost(batch * steps / seconds, torch.cuda.max_memory_allocated() / 2**20 if on_gpu else 0.0)
