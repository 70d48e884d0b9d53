"""A short training loop: seeded, with a progress bar if somebody can see it, and the same on CPU and CUDA."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, contextmanager

import torch
from studium import track
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import ConstantLR, CosineAnnealingLR, LRScheduler, OneCycleLR

Loss = Callable[[torch.Generator], Tensor]
SCHEDULES: dict[str, Callable[[Optimizer, float, int], LRScheduler]] = {
    "cosine": lambda optimizer, lr, steps: CosineAnnealingLR(optimizer, T_max=steps),
    "onecycle": lambda optimizer, lr, steps: OneCycleLR(optimizer, max_lr=lr, total_steps=steps),
    "constant": lambda optimizer, lr, steps: ConstantLR(optimizer, factor=1.0),
}


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute with one CPU thread: small matrices gain nothing from two, which wait for each other on a busy CPU."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def train(
    model: nn.Module | Iterable[Tensor],
    loss_fn: Loss,
    steps: int,
    lr: float,
    *,
    schedule: str = "cosine",
    weight_decay: float = 0.0,
    clip: float | None = None,
    seed: int = 0,
    bf16: bool = False,
    compile: bool = False,  # noqa: A002 - torch's own word for it
    after_step: Callable[[int], None] | None = None,
    description: str = "training",
    quiet: bool = False,
) -> list[float]:
    """Take `steps` AdamW steps on loss_fn and return the loss of each, as `steps` floats.

    model: a module (its parameters that require a gradient are trained, in training mode) or the tensors themselves.
    loss_fn(generator): the scalar loss of one batch; draw the batch with the CPU generator passed in. schedule: how lr
    changes, "cosine" to 0, "onecycle" (lr is its peak) or "constant". clip: the largest gradient norm. seed: the same
    seed gives the same run, dropout included; the global random state is unchanged. bf16, compile: autocast to bfloat16
    and compile the module, on CUDA; ignored on the CPU. after_step(step): called after each step, for a moving average
    of the weights or a plot. quiet: no progress bar, which otherwise appears in a terminal and in a notebook. Raises
    ValueError if the loss is not finite; weight_decay=0, the default, makes AdamW plain Adam.
    """
    parameters = _trainable(model, steps)
    device = parameters[0].device
    optimizer = AdamW(parameters, lr=lr, weight_decay=weight_decay)
    scheduler = _scheduler(schedule, optimizer, lr, steps)
    if compile and device.type == "cuda":
        _module(model).compile()
    generator = torch.Generator().manual_seed(seed)
    history: list[Tensor] = []
    shown = math.nan
    counted = _count(steps, None if quiet else description, lambda: f"loss {shown:.4f}")
    with _seeded(seed, device), _training_mode(model), closing(counted):
        for step in counted:
            with torch.autocast(device.type, torch.bfloat16, enabled=bf16 and device.type == "cuda"):
                loss = loss_fn(generator)
            _descend(loss, parameters, optimizer, scheduler, clip)
            history.append(loss.detach())
            if step % max(1, steps // 100) == 0 or step == steps - 1:  # reading a loss waits for the GPU
                shown = _finite(loss, step, lr)
            if after_step:
                after_step(step)
    return torch.stack(history).double().tolist()


def _count(steps: int, description: str | None, note: Callable[[], str]) -> Generator[int]:
    yield from range(steps) if description is None else track(range(steps), description, note=note)


def _trainable(model: nn.Module | Iterable[Tensor], steps: int) -> list[Tensor]:
    if steps < 1:
        raise ValueError(f"steps needs to be at least 1, got {steps}")
    tensors = model.parameters() if isinstance(model, nn.Module) else model
    parameters = [tensor for tensor in tensors if tensor.requires_grad]
    if not parameters:
        raise ValueError("training needs a tensor with requires_grad=True, got none: unfreeze what is to be trained")
    return parameters


def _module(model: nn.Module | Iterable[Tensor]) -> nn.Module:
    if not isinstance(model, nn.Module):
        raise ValueError("compile needs a module, got tensors: pass the model itself, or compile=False")
    return model


def _scheduler(schedule: str, optimizer: Optimizer, lr: float, steps: int) -> LRScheduler:
    if schedule not in SCHEDULES:
        raise ValueError(f"schedule needs to be one of {', '.join(SCHEDULES)}, got {schedule!r}")
    return SCHEDULES[schedule](optimizer, lr, steps)


def _descend(
    loss: Tensor, parameters: list[Tensor], optimizer: Optimizer, scheduler: LRScheduler, clip: float | None
) -> None:
    if loss.ndim:
        raise ValueError(f"loss_fn needs to return one number, got shape {tuple(loss.shape)}: take its mean")
    optimizer.zero_grad()
    loss.backward()
    if clip is not None:
        nn.utils.clip_grad_norm_(parameters, clip)
    optimizer.step()
    scheduler.step()


def _finite(loss: Tensor, step: int, lr: float) -> float:
    value = float(loss.detach())
    if not math.isfinite(value):
        raise ValueError(f"the loss needs to stay finite, got {value} by step {step}: try an lr below {lr:g}")
    return value


@contextmanager
def _seeded(seed: int, device: torch.device) -> Iterator[None]:
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would also seed the GPUs not forked
        if device.type == "cuda":
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield


@contextmanager
def _training_mode(model: nn.Module | Iterable[Tensor]) -> Iterator[None]:
    modes = {m: m.training for m in model.modules()} if isinstance(model, nn.Module) else {}
    if isinstance(model, nn.Module):
        model.train()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode
