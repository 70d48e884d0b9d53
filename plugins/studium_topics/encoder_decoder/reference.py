"""T5's decoder in full: the exercises' functions as a library would ship them, and how fast it decodes on a GPU.

Raffel et al. 2020 (arXiv 1910.10683). Everything follows the device and dtype of its inputs. Attention is PyTorch's
fused one; with an additive bias CUDA uses its memory-efficient kernel, because FlashAttention takes none.
"""

from __future__ import annotations

import base64
import math
import time
from collections.abc import Callable
from dataclasses import replace

import torch
import torch.nn.functional as F
from studium import Profile
from torch import Tensor

from studium_topics.encoder_decoder.experiment import TASKS, fitted
from studium_topics.encoder_decoder.model import T5, Blocks, Pair, Weights, feed_forward, rmsnorm
from studium_topics.kits.training import one_thread

Step = Callable[..., tuple[Tensor, list[Tensor]]]


def remember(states: Tensor, wk: Tensor, wv: Tensor, heads: int) -> Pair:
    """Return keys and values (B, H, S, d) of states (B, S, D), with weights (D, D) as in nn.Linear."""
    both = F.linear(states, torch.cat([wk, wv]))  # one product instead of two
    keys, values = both.unflatten(-1, (2, heads, -1)).permute(2, 0, 3, 1, 4)
    return keys, values


def cross_attention(x: Tensor, keys: Tensor, values: Tensor, wq: Tensor, wo: Tensor, bias: Tensor) -> Tensor:
    """Return what x (B, T, D) reads from keys and values (B or 1, H, S, d) under an additive bias, without a scale."""
    batch, length, _ = x.shape
    heads, slots = keys.shape[1:3]
    q = F.linear(x, wq).unflatten(-1, (heads, -1)).transpose(1, 2)
    keys, values = keys.expand(batch, -1, -1, -1), values.expand(batch, -1, -1, -1)
    add = bias.to(q.dtype).expand(batch, heads, length, slots)
    mixed = F.scaled_dot_product_attention(q, keys, values, attn_mask=add, scale=1.0)
    return F.linear(mixed.transpose(1, 2).flatten(2), wo)


def relative_bucket(distance: Tensor, bidirectional: bool, buckets: int = 32, farthest: int = 128) -> Tensor:
    """Return the bucket of each distance, key minus query, in its shape; computed in float32, as T5 does."""
    side = buckets // 2 if bidirectional else buckets
    near = side // 2
    n = distance.abs() if bidirectional else (-distance).clamp(min=0)
    ratio = torch.log(n.clamp(min=1).float() / near) / math.log(farthest / near)
    far = (near + (ratio * (side - near)).long()).clamp(max=side - 1)
    return torch.where(n < near, n, far) + (side * (distance > 0) if bidirectional else 0)


def position_bias(table: Tensor, queries: int, keys: int, causal: bool) -> Tensor:
    """Return the bias (1, H, T, S) of the last `queries` of `keys` positions, from a table (buckets, H)."""
    at = torch.arange(keys, device=table.device)
    distance = at - at[keys - queries :, None]
    bias = F.embedding(relative_bucket(distance, not causal, len(table)), table).permute(2, 0, 1)[None]
    return bias.masked_fill(distance > 0, -torch.inf) if causal else bias


def decoder_layer(
    x: Tensor, weights: Weights, kept: Pair | None, memory: Pair, bias: Tensor, memory_bias: Tensor
) -> tuple[Tensor, Pair]:
    """Return the stream (B, T, D) after one pre-norm layer of T5's decoder, and keys and values of all tokens."""
    z = rmsnorm(x, weights["self_norm"])
    pair = remember(z, weights["self_k"], weights["self_v"], memory[0].shape[1])
    if kept is not None:
        pair = torch.cat([kept[0], pair[0]], 2), torch.cat([kept[1], pair[1]], 2)
    x = x + cross_attention(z, *pair, weights["self_q"], weights["self_o"], bias)
    z = rmsnorm(x, weights["cross_norm"])
    x = x + cross_attention(z, *memory, weights["cross_q"], weights["cross_o"], memory_bias)
    return x + feed_forward(rmsnorm(x, weights["mlp_norm"]), weights["up"], weights["down"]), pair


def teacher_forced_loss(decoder: Callable[[Tensor], Tensor], labels: Tensor, start: int, pad: int) -> Tensor:
    """Return the mean cross-entropy in nats of labels (B, T), -100 for no target, given those before each."""
    inputs = F.pad(labels[:, :-1], (1, 0), value=start)
    logits = decoder(inputs.masked_fill(inputs == -100, pad))
    return F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=-100)


@torch.no_grad()
def greedy(step: Step, start: Tensor, eos: int, pad: int, longest: int) -> Tensor:
    """Return the likeliest token at each step for start (B,), rows padded after their eos: (B, t)."""
    newest, kept, found = start, None, []
    writing = torch.ones_like(start, dtype=torch.bool)
    while len(found) < longest and writing.any():
        logits, kept = step(newest, kept)
        newest = logits.argmax(-1).where(writing, pad)
        found.append(newest)
        writing &= newest != eos
    return torch.stack(found, 1)


@torch.no_grad()
def beam_search(
    step: Step, start: int, eos: int, width: int, longest: int, alpha: float = 0.0
) -> tuple[list[int], float]:
    """Return the tokens and log p of the answer with the best log p / length^alpha among those a beam finishes.

    Extensions that end in eos leave the beam; what is unfinished after `longest` tokens counts as finished.
    """
    newest, kept, finished = torch.tensor([start]), None, []
    answers, total = torch.empty(1, 0, dtype=torch.long), torch.zeros(1)
    for place in range(longest):
        logits, kept = step(newest, kept)
        scores = total[:, None] + logits.log_softmax(-1)
        total, flat = scores.flatten().topk(min(width, scores.numel()))
        parents, newest = flat // scores.shape[-1], flat % scores.shape[-1]
        answers = torch.cat([answers[parents], newest[:, None]], 1)
        ended = (newest == eos) | (place == longest - 1)
        finished += zip(answers[ended].tolist(), total[ended].tolist(), strict=True)
        answers, total, newest, parents = (part[~ended] for part in (answers, total, newest, parents))
        if not len(newest):
            break
        kept = [part[parents.to(part.device)] for part in kept]
    return max(finished, key=lambda one: one[1] / len(one[0]) ** alpha)


BLOCKS = Blocks(remember, cross_attention, position_bias, decoder_layer)


def decode_speed(model: T5, source: Tensor, tokens: int, *, cached: bool = True, compiled: bool = False) -> float:
    """Return the tokens a second of decoding for source (B, S), after a warm-up.

    cached: read the source once; otherwise encode and project it anew for every token. compiled: let torch.compile
    fuse the layer, which pays on CUDA alone. On CUDA everything is computed in bfloat16.
    """
    if compiled and source.is_cuda:
        model = T5(model.checkpoint, model.heads, replace(BLOCKS, decoder_layer=_compiled_layer()), model.slots)

    @torch.no_grad()
    def run() -> None:
        step, newest, kept = model.reader(source), source.new_zeros(len(source)), None
        for _ in range(tokens):
            logits, kept = (step if cached else model.reader(source))(newest, kept)
            newest = logits.argmax(-1)

    with torch.autocast(source.device.type, torch.bfloat16, enabled=source.is_cuda):
        run()
        _wait(source)
        start = time.perf_counter()
        run()
        _wait(source)
    return len(source) * tokens / (time.perf_counter() - start)


def _compiled_layer() -> Callable[..., tuple[Tensor, Pair]]:
    return torch.compile(decoder_layer, dynamic=True)  # the cache grows by one token a step


def _wait(tensor: Tensor) -> None:
    if tensor.is_cuda:
        torch.cuda.synchronize()


def opening_weights(seed: int = 0) -> dict[str, str]:
    """Return the weights of three models of the experiment, one a task, as the lesson's `opening.json` holds them.

    All tensors of a checkpoint in their order, in float16, in base64. The file itself was made with RATE at 2e-2; at
    the present 1e-2 the models answer and look alike, with other numbers.
    """
    laptop = Profile("laptop")
    with one_thread():
        runs = {task: fitted(BLOCKS, teacher_forced_loss, greedy, task, profile=laptop, seed=seed) for task in TASKS}
    found = {}
    for task, run in runs.items():
        numbers = torch.cat([tensor.detach().flatten() for tensor in run.model.checkpoint.values()])
        found[task] = base64.b64encode(numbers.half().numpy().astype("<f2").tobytes()).decode()
    return found
