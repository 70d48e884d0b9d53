"""LoRA in full (Hu et al. 2021, section 4.1), on the CPU and on CUDA.

Beside the arithmetic: injection that follows the device and dtype of the model, merging of a whole model, training
with bf16 autocast and torch.compile, peak memory, and the latency of a model before and after merging.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Set
from dataclasses import dataclass

import psutil
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from studium_topics.kits.training import train
from studium_topics.lora.adapter import Adapter


def lora_linear(x: Tensor, weight: Tensor, bias: Tensor | None, a: Tensor, b: Tensor, alpha: float) -> Tensor:
    """x (..., in) to (..., out): weight (out, in), bias (out,) or None, update alpha / r times B A (equation 3)."""
    low = F.linear(x, a)  # (..., r)
    return F.linear(x, weight, bias) + F.linear(low, b) * (alpha / a.shape[0])


def init_lora(n_in: int, n_out: int, rank: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """A (rank, in) normal with standard deviation 1 / sqrt(in), B (out, rank) zero, so that B A = 0 (section 4.1)."""
    return torch.randn(rank, n_in, generator=generator) / math.sqrt(n_in), torch.zeros(n_out, rank)


def inject(model: nn.Module, targets: Set[str], rank: int, alpha: float, generator: torch.Generator) -> int:
    """Adapt every Linear whose own name is in targets, freeze the rest, and return the count of trainable numbers.

    The factors take the dtype and device of the weight that they update; they are drawn on the CPU, so that a model
    gets the same ones wherever it is.
    """
    model.requires_grad_(False)
    for path, linear in list(model.named_modules()):
        parent, _, name = path.rpartition(".")
        if not isinstance(linear, nn.Linear) or name not in targets:
            continue
        factors = init_lora(linear.in_features, linear.out_features, rank, generator)
        a, b = (factor.to(linear.weight) for factor in factors)
        setattr(model.get_submodule(parent), name, Adapter(linear, a, b, alpha, lora_linear))
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def merge(weight: Tensor, a: Tensor, b: Tensor, alpha: float) -> Tensor:
    """The weight (out, in) that acts as frozen weight and update together."""
    return torch.addmm(weight, b, a, alpha=alpha / a.shape[0])


def unmerge(merged: Tensor, a: Tensor, b: Tensor, alpha: float) -> Tensor:
    """The frozen weight (out, in) of a merged one, up to rounding."""
    return torch.addmm(merged, b, a, alpha=-alpha / a.shape[0])


def svd_lora(delta: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """A (rank, in) and B (out, rank) of the best approximation of delta (out, in) at that rank (Eckart and Young)."""
    u, s, vh = torch.linalg.svd(delta, full_matrices=False)
    root = s[:rank].sqrt()
    return root[:, None] * vh[:rank], u[:, :rank] * root


def train_memory(
    n_params: int, n_trainable: int, weight_bytes: float, gradient_bytes: float, optimizer_bytes: float
) -> float:
    """Bytes for weights, gradients and optimizer state, where n_trainable of n_params parameters are trained."""
    return n_params * weight_bytes + n_trainable * (gradient_bytes + optimizer_bytes)


@torch.no_grad()
def merge_model(model: nn.Module) -> int:
    """Put a plain Linear with the merged weight in the place of every Adapter, and return how many there were."""
    adapters = [(path, module) for path, module in model.named_modules() if isinstance(module, Adapter)]
    for path, adapter in adapters:
        parent, _, name = path.rpartition(".")
        adapter.linear.weight.copy_(merge(adapter.linear.weight, adapter.a, adapter.b, adapter.alpha))
        setattr(model.get_submodule(parent), name, adapter.linear)
    return len(adapters)


@dataclass(frozen=True)
class Cost:
    """What a training run cost: trainable numbers, seconds a step, and the peak of memory in bytes.

    On CUDA the peak is what torch had allocated during the run; on the CPU it is the resident size of the whole
    process at the end, which says little: measure memory on CUDA.
    """

    trainable: int
    seconds_per_step: float
    peak_bytes: int


def training_cost(
    model: nn.Module,
    loss_fn: Callable[[torch.Generator], Tensor],
    steps: int,
    lr: float,
    *,
    bf16: bool = True,
    compile: bool = False,  # noqa: A002 - torch's own word for it
) -> Cost:
    """Train for 2 x steps, the first half as a warm-up, and measure the second.

    bf16 and compile do nothing on the CPU. Compiling pays from some hundreds of steps on.
    """
    device = next(model.parameters()).device
    marks: list[float] = []

    def mark(step: int) -> None:
        if step == steps - 1:
            _reset_peak(device)
        if step in (steps - 1, 2 * steps - 1):
            _wait(device)
            marks.append(time.perf_counter())

    train(model, loss_fn, 2 * steps, lr, bf16=bf16, compile=compile, after_step=mark, quiet=True)
    trainable = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    return Cost(trainable, (marks[1] - marks[0]) / steps, _peak_bytes(device))


@torch.inference_mode()
def latency(model: nn.Module, inputs: Tensor, *, repeats: int = 50, bf16: bool = True) -> float:
    """Median seconds of one forward pass on inputs; bf16 does nothing on the CPU."""
    device = inputs.device
    times = []
    with torch.autocast(device.type, torch.bfloat16, enabled=bf16 and device.type == "cuda"):
        for _ in range(5 + repeats):  # the first five warm up caches and kernels
            _wait(device)
            start = time.perf_counter()
            model(inputs)
            _wait(device)
            times.append(time.perf_counter() - start)
    return float(torch.tensor(times[5:]).median())


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _reset_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def _peak_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return psutil.Process().memory_info().rss
