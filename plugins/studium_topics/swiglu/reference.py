"""Gated feed-forward layers in full (Shazeer 2020, arXiv 2002.05202), on the CPU and on CUDA.

Beside the arithmetic: one fused projection for gate and value as large models have it, an autograd function that keeps
two arrays in place of four, training with bf16 autocast, and the time and memory of a step, eager or compiled.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "glu": torch.sigmoid,
    "bilinear": lambda z: z,
    "reglu": F.relu,
    "geglu": F.gelu,
    "swiglu": F.silu,
}
Pair = tuple[Tensor, Tensor]  # token numbers and labels, both (B, T)
Interval = tuple[float, float, float]


def gated(x: Tensor, w_gate: Tensor, w_up: Tensor, w_down: Tensor, kind: str) -> Tensor:
    """x (..., D) to (..., O) through w_gate and w_up (F, D) and w_down (O, F) (equations 5 and 6)."""
    return F.linear(ACTIVATIONS[kind](F.linear(x, w_gate)) * F.linear(x, w_up), w_down)


def fused_gated(x: Tensor, w_gate_up: Tensor, w_down: Tensor, kind: str) -> Tensor:
    """The same with one product for gate and value: w_gate_up (2F, D), the gate's rows first."""
    gate, value = F.linear(x, w_gate_up).chunk(2, -1)
    return F.linear(ACTIVATIONS[kind](gate) * value, w_down)


def ffn_cost(tokens: int, width: int, hidden: int, has_gate: bool) -> tuple[int, int]:
    """Parameters, and operations of the matrix products in one forward pass: 4NDF without a gate, 6NDF with one."""
    parameters = (2 + bool(has_gate)) * width * hidden
    return parameters, 2 * tokens * parameters


def matched_width(hidden: int, multiple_of: int = 1) -> int:
    """The smallest multiple whose three matrices have at least as many entries as two of width `hidden`."""
    return math.ceil(2 * hidden / (3 * multiple_of)) * multiple_of


def multiplier(size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Weights of a SwiGLU layer that maps (p, q) to p · q: SiLU(a) b + SiLU(-a) (-b) = a b."""
    place = torch.arange(size)
    gate, up = torch.zeros(2, 2, size, 2 * size)
    for unit, sign in enumerate((1.0, -1.0)):
        gate[unit, place, place] = sign
        up[unit, place, size + place] = sign
    return gate.flatten(0, 1), up.flatten(0, 1), torch.ones(1, 2 * size)


def swiglu_backward(
    x: Tensor, w_gate: Tensor, w_up: Tensor, w_down: Tensor, dy: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradients of x (N, D), w_gate, w_up (F, D) and w_down (O, F) for dy (N, O)."""
    gate, value = F.linear(x, w_gate), F.linear(x, w_up)
    hidden, d_gate, d_value = _through_the_product(gate, value, dy @ w_down)
    return d_gate @ w_gate + d_value @ w_up, d_gate.T @ x, d_value.T @ x, dy.T @ hidden


def _through_the_product(gate: Tensor, value: Tensor, back: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The product SiLU(gate) · value, and the gradients of gate and value for its gradient `back`, all (..., F)."""
    share = torch.sigmoid(gate)
    opened = gate * share
    return opened * value, back * value * (share + opened * (1 - share)), back * opened


class SiluMul(torch.autograd.Function):
    """SiLU(gate) · value, which keeps gate and value alone for the backward pass and computes the rest again."""

    @staticmethod
    def forward(ctx, gate: Tensor, value: Tensor) -> Tensor:  # type: ignore[no-untyped-def, override]
        """Return the product (..., F)."""
        ctx.save_for_backward(gate, value)
        return F.silu(gate) * value

    @staticmethod
    def backward(ctx, back: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[no-untyped-def, override]
        """Return the gradients of gate and value."""
        _, d_gate, d_value = _through_the_product(*ctx.saved_tensors, back)
        return d_gate, d_value


def lean_swiglu(x: Tensor, w_gate: Tensor, w_up: Tensor, w_down: Tensor) -> Tensor:
    """SwiGLU whose elementwise part keeps two arrays (..., F) for the backward pass, besides its result."""
    return F.linear(SiluMul.apply(F.linear(x, w_gate), F.linear(x, w_up)), w_down)


def dead_units(x: Tensor, w_gate: Tensor, w_up: Tensor, w_down: Tensor, kind: str) -> Tensor:
    """Which units (F,) no loss can move on x (N, D): no gradient in w_gate, w_up or w_down for a random one."""
    weights = [weight.detach().clone().requires_grad_() for weight in (w_gate, w_up, w_down)]
    with torch.enable_grad():
        y = gated(x.detach(), *weights, kind)
        noise = torch.randn(y.shape, generator=torch.Generator().manual_seed(0)).to(y)
        gate, up, down = torch.autograd.grad(y, weights, noise)
    return (gate == 0).all(1) & (up == 0).all(1) & (down == 0).all(0)


def paired_interval(losses: Sequence[float], baseline: Sequence[float], critical: float) -> Interval:
    """Mean of losses - baseline, seed by seed, and the ends of Student's interval."""
    apart = [ours - theirs for ours, theirs in zip(losses, baseline, strict=True)]
    mean, half = statistics.fmean(apart), critical * statistics.stdev(apart) / math.sqrt(len(apart))
    return mean, mean - half, mean + half


def compare(
    build: Callable[[str, int], nn.Module], batches: Callable[[int], list[Pair]], held_out: Pair, kinds: Sequence[str],
    seeds: Sequence[int], lr: float, critical: float,
) -> dict[str, tuple[list[float], Interval]]:  # fmt: skip
    """The held-out losses of each kind, seed by seed, and their interval against the first; bf16 on CUDA."""
    losses = {kind: [_run(build(kind, seed), batches(seed), held_out, lr) for seed in seeds] for kind in kinds}
    return {kind: (found, paired_interval(found, losses[kinds[0]], critical)) for kind, found in losses.items()}


def _run(model: nn.Module, pairs: list[Pair], held_out: Pair, lr: float) -> float:
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda i: 1 - i / max(1, len(pairs)))
    for pair in pairs:
        optimizer.zero_grad()
        _loss(model, pair, bf16=True).backward()
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        return float(_loss(model, held_out, bf16=False))


def _loss(model: nn.Module, pair: Pair, *, bf16: bool) -> Tensor:
    ids, labels = pair
    with torch.autocast(ids.device.type, torch.bfloat16, enabled=bf16 and ids.is_cuda):
        return F.cross_entropy(model(ids).flatten(0, 1), labels.flatten())


@dataclass(frozen=True)
class Cost:
    """Seconds of one forward and backward pass, and on CUDA the peak of allocated bytes (0 on the CPU)."""

    seconds: float
    peak_bytes: int


def step_cost(
    layer: Callable[..., Tensor], tokens: int, width: int, hidden: int, *, device: str = "cuda", compiled: bool = False,
    repeats: int = 20,
) -> Cost:  # fmt: skip
    """Measure layer(x, w_gate, w_up, w_down) in bfloat16, for instance `lean_swiglu`, compiled or eager."""
    shape = {"dtype": torch.bfloat16, "device": device}
    x = torch.randn(tokens, width, **shape, requires_grad=True)
    w_gate, w_up = (torch.randn(hidden, width, **shape).div(width**0.5).requires_grad_() for _ in range(2))
    w_down = torch.randn(width, hidden, **shape).div(hidden**0.5).requires_grad_()
    run = torch.compile(layer) if compiled and x.is_cuda else layer

    def step() -> None:
        run(x, w_gate, w_up, w_down).sum().backward()

    for _ in range(3):  # kernels are compiled and caches warm after these
        step()
    if not x.is_cuda:
        return Cost(_seconds(step, repeats, lambda: None), 0)
    torch.cuda.reset_peak_memory_stats()
    return Cost(_seconds(step, repeats, torch.cuda.synchronize), torch.cuda.max_memory_allocated())


def _seconds(step: Callable[[], None], repeats: int, wait: Callable[[], None]) -> float:
    wait()
    start = time.perf_counter()
    for _ in range(repeats):
        step()
    wait()
    return (time.perf_counter() - start) / repeats
