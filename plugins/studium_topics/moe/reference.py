"""Mixtures of experts in full, on the CPU and on CUDA: Mixtral without drops, GShard and Switch with a capacity.

Beside the functions of the exercises: expert products as one grouped matrix product in bfloat16, a router in
float32, parameter counts, and the throughput of a layer with bf16 autocast and torch.compile.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from studium_topics.kits.training import train
from studium_topics.moe.model import Mixture


def route(logits: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The weights (N, k) and the experts (N, k) of each token, for logits (N, E): Mixtral, section 2.1."""
    best, chosen = logits.topk(k, dim=-1)
    return best.softmax(-1), chosen


def dense_twins(hidden: int, experts: int, k: int) -> tuple[int, int]:
    """The hidden widths of the widest dense layers that cost, and hold, no more than a mixture and its router."""
    router = experts // 3  # E D numbers are E / 3 hidden units of 3 D numbers
    return k * hidden + router, experts * hidden + router


def mixture(x: Tensor, chosen: Tensor, weights: Tensor, gate_up: Tensor, down: Tensor) -> Tensor:
    """The weighted sum (N, D) of what the chosen experts make of x (N, D), without drops.

    The choices are sorted by expert, so that each matrix is read once: gate_up (E, 2 I, D), down (E, D, I).
    """
    order = chosen.flatten().argsort(stable=True)
    row = order // chosen.shape[1]
    sizes = torch.bincount(chosen.flatten(), minlength=len(down))
    gate, up = _grouped(x[row], gate_up, sizes).chunk(2, -1)
    results = _grouped(F.silu(gate) * up, down, sizes)
    return torch.zeros_like(x).index_add(0, row, results * weights.flatten()[order, None])


def seats(chosen: Tensor, experts: int, capacity: int) -> Tensor:
    """The seat of each choice (N, k) in the buffer of its expert, -1 beyond the capacity; first choices come first.

    Sorting costs N k log(N k), where a running count over one-hot rows costs N k E (GShard, algorithm 1).
    """
    line = chosen.T.flatten()
    order = line.argsort(stable=True)
    sizes = torch.bincount(line, minlength=experts)
    start = (sizes.cumsum(0) - sizes)[line[order]]
    seat = torch.empty_like(line)
    seat[order] = torch.arange(len(line), device=line.device) - start
    return torch.where(seat < capacity, seat, -1).view(chosen.shape[1], -1).T


def router_losses(logits: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor]:
    """The balance loss (Switch, equation 4, with k choices a token) and the z-loss (Zoph et al. 2022), both ()."""
    tokens, experts = logits.shape
    log_sum = logits.logsumexp(-1)
    mean = (logits - log_sum[:, None]).exp().mean(0)
    load = torch.bincount(chosen.flatten(), minlength=experts) / tokens
    return experts * (load.to(mean.dtype) * mean).sum(), log_sum.square().mean()


def switch_layer(x: Tensor, router: Tensor, up: Tensor, down: Tensor) -> tuple[Tensor, Tensor]:
    """The output (N, D) and the balance loss () of a Switch layer: one expert with a ReLU, times its probability."""
    logits = router_logits(x, router)
    weight, chosen = logits.softmax(-1).max(-1)
    order = chosen.argsort(stable=True)
    sizes = torch.bincount(chosen, minlength=len(router))
    results = _grouped(F.relu(_grouped(x[order], up, sizes)), down, sizes)
    out = torch.zeros_like(x).index_copy(0, order, (results * weight[order, None]).to(x.dtype))
    return out, router_losses(logits, chosen[:, None])[0]


def moe_layer(
    x: Tensor, router: Tensor, gate_up: Tensor, down: Tensor, k: int, factor: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The output (B, T, D), balance loss (), z-loss () and dropped share () of a mixture with limited room.

    All shapes are known before anything is computed, so that torch.compile makes one graph of it: dropped choices go
    to one more seat, which no expert reads.
    """
    tokens, experts, k = x.flatten(0, 1), router.shape[0], int(k)
    logits = router_logits(tokens, router)
    weights, chosen = route(logits, k)
    capacity = max(1, int(factor * len(tokens) * k / experts))
    seat = seats(chosen, experts, capacity)
    place = torch.where(seat < 0, experts * capacity, chosen * capacity + seat)  # (N, k)
    buffers = tokens.new_zeros(experts * capacity + 1, tokens.shape[1])
    buffers = buffers.index_copy(0, place.flatten(), tokens.repeat_interleave(k, 0))[:-1]
    gate, up = torch.bmm(buffers.view(experts, capacity, -1), gate_up.mT).chunk(2, -1)
    results = torch.bmm(F.silu(gate) * up, down.mT).flatten(0, 1)
    read = F.pad(results, (0, 0, 0, 1))[place]  # (N, k, D); zeros for what was dropped
    out = (read * weights[..., None]).sum(1).to(x.dtype)
    return out.view_as(x), *router_losses(logits, chosen), (seat < 0).float().mean()


def router_logits(x: Tensor, router: Tensor) -> Tensor:
    """The logits (N, E) of x (N, D), in float32 at least, also under autocast (Switch, section 2.4)."""
    precise = torch.promote_types(x.dtype, torch.float32)
    with torch.autocast(x.device.type, enabled=False):
        return F.linear(x.to(precise), router.to(precise))


def parameters(layers: int, width: int, hidden: int, experts: int, k: int, rest: int) -> tuple[int, int]:
    """All parameters of a model with mixtures, and those that one token uses; rest: what is outside of the mixtures."""
    outside = rest + layers * experts * width
    return tuple(outside + layers * used * 3 * width * hidden for used in (experts, k))


def layer(width: int, hidden: int, experts: int, k: int, factor: float, seed: int = 0) -> Mixture:
    """The mixture as a module (B, T, D) -> (B, T, D), with parameters drawn from a seed."""
    compute = partial(moe_layer, k=k, factor=factor)
    return Mixture(compute, width, hidden, experts, torch.Generator().manual_seed(seed))


@dataclass(frozen=True)
class Speed:
    """What a layer does in a second, forward and backward, and the largest memory that torch held (0 on the CPU)."""

    tokens_per_second: float
    peak_bytes: int


def speed(module: nn.Module, x: Tensor, *, steps: int = 10, bf16: bool = True, compile: bool = False) -> Speed:  # noqa: A002
    """Train a module for 2 x steps on its own input and measure the second half; bf16 and compile need CUDA."""
    device, marks = x.device, []

    def loss(_: torch.Generator) -> Tensor:
        return (module(x) - x).square().mean()

    def mark(step: int) -> None:
        if step in (steps - 1, 2 * steps - 1):
            if device.type == "cuda":
                torch.cuda.synchronize(device)
                if not marks:
                    torch.cuda.reset_peak_memory_stats(device)
            marks.append(time.perf_counter())

    train(module, loss, 2 * steps, 1e-4, bf16=bf16, compile=compile, after_step=mark, quiet=True)
    peak = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else 0
    return Speed(steps * x[..., 0].numel() / (marks[1] - marks[0]), peak)


def _grouped(rows: Tensor, weight: Tensor, sizes: Tensor) -> Tensor:
    """Rows (n, in), sorted by expert, times the transposed weight (E, out, in) of each expert; sizes: its rows (E,)."""
    if rows.dtype == torch.bfloat16:  # a grouped product in one kernel on CUDA
        return F.grouped_mm(rows, weight.mT, offs=sizes.cumsum(0).int())
    parts = rows.split(sizes.tolist())
    return torch.cat([part @ matrix.T for part, matrix in zip(parts, weight, strict=True)])
