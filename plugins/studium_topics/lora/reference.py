"""LoRA in full (Hu et al. 2021, section 4.1), on the CPU and on CUDA.

Beside the arithmetic: injection that follows the device and dtype of the model, fine-tuning, merging of a whole model,
training with bf16 autocast and torch.compile, peak memory, and the latency of a model before and after merging.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass

import psutil
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from studium_topics.kits.training import train
from studium_topics.lora.adapter import Adapter

Pair = tuple[Tensor, Tensor]  # token numbers and the labels of a batch, both (B, T)


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


def svd_lora(delta: Tensor, rank: int, alpha: float) -> tuple[Tensor, Tensor]:
    """A (rank, in) and B (out, rank) of the adapter that is nearest to delta (out, in) (Eckart and Young)."""
    u, s, vh = torch.linalg.svd(delta, full_matrices=False)
    root = (s[:rank] * (rank / alpha)).sqrt()
    return root[:, None] * vh[:rank], u[:, :rank] * root


def b_only_floor(delta: Tensor, a: Tensor) -> Tensor:
    """The squared error () of the best B A for delta (out, in) where A (r, in) is fixed: what lies outside A's rows."""
    basis = torch.linalg.qr(a.T).Q  # (in, r)
    return (delta - delta @ basis @ basis.T).square().sum()


@torch.no_grad()
def serve(base: nn.Module, adapter: Mapping[str, Tensor], alpha: float) -> nn.Module:
    """A plain copy of base, with the factors "<path>.a" and "<path>.b" of adapter merged into the Linear at path."""
    model = copy.deepcopy(base)
    for path in {key.rpartition(".")[0] for key in adapter}:
        linear = model.get_submodule(path)
        linear.weight.copy_(merge(linear.weight, adapter[f"{path}.a"], adapter[f"{path}.b"], alpha))
    return model


def adapter_state(model: nn.Module) -> dict[str, Tensor]:
    """Copies of the factors of every Adapter of a model, as `serve` takes them."""
    adapters = [(path, module) for path, module in model.named_modules() if isinstance(module, Adapter)]
    return {f"{path}.{name}": getattr(module, name).detach().clone() for path, module in adapters for name in "ab"}


def finetune(
    base: nn.Module,
    targets: Set[str],
    rank: int,
    alpha: float,
    batches: Iterable[Pair],
    old: Pair,
    lr: float,
    generator: torch.Generator,
) -> tuple[dict[str, Tensor], nn.Module, float]:
    """The adapter after one Adam step for each batch, base with it merged, and how far its loss on old rose."""
    model = copy.deepcopy(base)
    inject(model, targets, rank, alpha, generator)
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=lr)
    for batch in batches:
        optimizer.zero_grad()
        _cross_entropy(model, batch).backward()
        optimizer.step()
    adapter = adapter_state(model)
    served = serve(base, adapter, alpha)
    with torch.no_grad():
        return adapter, served, float(_cross_entropy(served, old) - _cross_entropy(base, old))


def combine(adapters: Sequence[tuple[Tensor, Tensor, float]], weights: Sequence[float]) -> tuple[Tensor, Tensor]:
    """One A (R, in) and B (out, R) whose product is the weighted sum of the updates of (A, B, alpha), R = Σ r."""
    scales = [weight * alpha / a.shape[0] for weight, (a, _, alpha) in zip(weights, adapters, strict=True)]
    b = [scale * b for scale, (_, b, _) in zip(scales, adapters, strict=True)]
    return torch.cat([a for a, _, _ in adapters]), torch.cat(b, dim=1)


def train_memory(model: nn.Module, x: Tensor) -> tuple[int, int, int]:
    """Bytes of parameters, gradients and optimizer state after one step of Adam on the mean square of model(x)."""
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad])
    model(x).square().mean().backward()
    optimizer.step()
    parameters = list(model.parameters())
    gradients = [p.grad for p in parameters if p.grad is not None]
    state = [tensor for held in optimizer.state.values() for tensor in held.values()]
    return _bytes(parameters), _bytes(gradients), _bytes(state)


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


def _cross_entropy(model: nn.Module, pair: Pair) -> Tensor:
    return F.cross_entropy(model(pair[0]).flatten(0, 1), pair[1].flatten())


def _bytes(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


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
