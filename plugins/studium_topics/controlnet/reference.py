"""ControlNet in full (Zhang, Rao and Agrawala 2023, arXiv 2302.05543), on the CPU and on CUDA.

Beside the arithmetic: training with bfloat16 autocast and torch.compile, in which the base's encoder stores nothing for
the backward pass; what a step of control training costs beside one of full fine-tuning; the lesson's first images.
"""

from __future__ import annotations

import base64
import copy
import time
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from studium_topics.controlnet.keys import FOLLOWED, SCALES, drawing_of, pictured
from studium_topics.controlnet.model import (
    NO_KIND,
    PARTS,
    Batch,
    Control,
    Look,
    batches,
    falling,
    kind,
    schedule,
    step_between,
    trained,
)
from studium_topics.kits.diffusion import UNet
from studium_topics.kits.training import one_thread


@torch.no_grad()
def zero_module(module: nn.Module) -> nn.Module:
    """Return the module with all its parameters set to 0, in place."""
    for parameter in module.parameters():
        parameter.zero_()
    return module


def make_control(base: UNet, look: nn.Module) -> Control:
    """Freeze the base and return its control: the convolutions have the dtype and device of the base (section 3.1)."""
    encoder = copy.deepcopy(base).requires_grad_(True)
    del encoder.up, encoder.leave
    base.requires_grad_(False)
    widths = [base.enter.out_channels, *(block.second.out_channels for block in (*base.down, base.middle))]
    zero_in, *zero_outs = (zero_module(nn.Conv2d(width, width, 1)).to(base.enter.weight) for width in widths)
    return Control(encoder, look, zero_in, nn.ModuleList(zero_outs))


def residuals(control: Control, x: Tensor, t: Tensor, y: Tensor, hint: Tensor, scale: float) -> list[Tensor]:
    """Return what a control adds to each skip and to the middle, in this order; shapes as of the base's features."""
    extra = control.zero_in(control.look(hint))
    skips, middle = control.copy.encode(x, control.copy.embed(t, y), extra)
    return [scale * out(features) for out, features in zip(control.zero_outs, [*skips, middle], strict=True)]


def controlled_eps(base: UNet, control: Control, x: Tensor, t: Tensor, y: Tensor, hint: Tensor, scale: float) -> Tensor:
    """Return the prediction (B, 3, S, S) of a locked base with the control's residuals.

    The base's encoder needs no gradient, so autograd stores nothing of it; the decoder passes gradients on.
    """
    with torch.no_grad():
        told = base.embed(t, y)
        skips, middle = base.encode(x, told)
    *added, deep = residuals(control, x, t, y, hint, scale)
    return base.decode([skip + more for skip, more in zip(skips, added, strict=True)], middle + deep, told)


def grad_audit(control: Control, loss_fn: Callable[[Control], Tensor], lr: float, steps: int) -> list[dict[str, float]]:
    """Return the norm of the gradient of each part before each of `steps` steps of SGD."""
    optimizer, audit = torch.optim.SGD(control.parameters(), lr=lr), []
    for _ in range(steps):
        optimizer.zero_grad()
        loss_fn(control).backward()
        audit.append({part: _norm(getattr(control, part)) for part in PARTS})
        optimizer.step()
    return audit


def _norm(module: nn.Module) -> float:
    gradients = [parameter.grad.flatten() for parameter in module.parameters() if parameter.grad is not None]
    return float(torch.cat(gradients).norm()) if gradients else 0.0


def train_control(
    base: UNet, control: Control, batches: Iterable[Batch], abar: Tensor, null: int, lr: float,
    generator: torch.Generator, *, bf16: bool = False,
) -> list[float]:  # fmt: skip
    """Take one step of AdamW for each batch and return the losses; half of the labels become `null` (section 3.3).

    bf16: autocast on CUDA. Losses are read at the end, because reading one waits for the GPU.
    """
    optimizer = torch.optim.AdamW(control.parameters(), lr=lr)
    losses = []
    for x0, hint, y in batches:
        device = x0.device
        t = torch.randint(len(abar), y.shape, generator=generator).to(device)
        eps = torch.randn(x0.shape, generator=generator).to(device)
        untold = y.masked_fill((torch.rand(len(y), generator=generator) < 0.5).to(device), null)
        signal = abar[t].view(-1, 1, 1, 1)
        x = signal.sqrt() * x0 + (1 - signal).sqrt() * eps
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16 and device.type == "cuda"):
            loss = F.mse_loss(controlled_eps(base, control, x, t, untold, hint, 1.0), eps)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    return torch.stack(losses).tolist() if losses else []


@torch.no_grad()
def controlled_sample(
    base: UNet, control: Control, hint: Tensor, y: Tensor, scales: Sequence[float], rows: Sequence[int], abar: Tensor,
    generator: torch.Generator,
) -> Tensor:  # fmt: skip
    """Return the film (len(rows) + 1, B, 3, S, S) of ancestral sampling along `rows`, with a scale for each of them."""
    shape = (len(hint), base.enter.in_channels, *hint.shape[2:])
    film = [torch.randn(shape, generator=generator).to(hint.device)]
    for t, before, scale in zip(rows, [*rows[1:], -1], scales, strict=True):
        level = torch.full_like(y, t)
        eps = controlled_eps(base, control, film[-1], level, y, hint, scale)
        z = torch.randn(shape, generator=generator).to(hint.device)
        film.append(step_between(eps, film[-1], t, before, abar, z))
    return torch.stack(film)


def mask_iou(images: Tensor, hints: Tensor) -> Tensor:
    """Return intersection over union (B,) of the ink of images (B, 3, S, S), above 0.1 in a channel, and of hints."""
    ink, wanted = (images > 0.1).any(1, keepdim=True), hints.bool()
    both, either = ((ink & wanted).sum((1, 2, 3)), (ink | wanted).sum((1, 2, 3)))
    return torch.where(either == 0, 1.0, both / either.clamp(min=1))


@dataclass(frozen=True)
class Cost:
    """Seconds of one training step, and the peak of memory in bytes on CUDA (0 on the CPU)."""

    seconds: float
    peak_bytes: int


def training_costs(batch: Batch, *, steps: int = 20, compile: bool = True) -> dict[str, Cost]:  # noqa: A002
    """Return what a step costs on the device of the batch: "control" beside a locked base, and "full" fine-tuning.

    In bfloat16 on CUDA, and compiled there; after three steps to warm up.
    """
    device = batch[0].device
    costs = {}
    for name in ("control", "full"):
        base = trained().to(device)
        control = make_control(base, Look(base.enter.out_channels).to(device)) if name == "control" else None
        trainable = control if control is not None else base
        optimizer = torch.optim.AdamW(trainable.parameters(), lr=1e-4)

        def predict(x: Tensor, t: Tensor, base: UNet = base, control: Control | None = control) -> Tensor:
            return controlled_eps(base, control, x, t, batch[2], batch[1], 1.0) if control else base(x, t, batch[2])

        run = torch.compile(predict) if compile and device.type == "cuda" else predict
        costs[name] = _cost(run, optimizer, batch, steps)
    return costs


def _cost(predict: Callable[..., Tensor], optimizer: torch.optim.Optimizer, batch: Batch, steps: int) -> Cost:
    images, device = batch[0], batch[0].device
    t = torch.full((len(images),), 50, device=device)

    def step() -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            loss = F.mse_loss(predict(images, t), images)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    for _ in range(3):
        step()
    cuda = device.type == "cuda"
    if cuda:
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
    start = time.perf_counter()
    for _ in range(steps):
        step()
    if cuda:
        torch.cuda.synchronize(device)
    return Cost((time.perf_counter() - start) / steps, torch.cuda.max_memory_allocated(device) if cuda else 0)


STORED = {"disc": "large", "ring": "large", "triangle": "large", "square": "small", "cross": "large"}


@one_thread()
def opening(steps: int = 200) -> dict[str, object]:
    """Return the lesson's `opening.json`: drawings, and what a control of `steps` steps makes of each at each scale.

    The last drawing, two bars, is of a kind that no training image had. No caption; seed 0; half a minute of one core.
    """
    base, abar, generator = trained(), schedule(), torch.Generator().manual_seed(0)
    with torch.random.fork_rng([]):
        torch.default_generator.manual_seed(0)
        control = make_control(base, Look(base.enter.out_channels))
    train_control(base, control, batches(steps, 16, generator), abar, NO_KIND, 4e-3, generator)
    pool = batches(1, 600, generator)[0]
    drawings = {form: pool[1][pool[2] == kind(f"a {size} white {form}")][0] for form, size in STORED.items()}
    drawings["two bars"] = torch.zeros(1, 16, 16)
    drawings["two bars"][:, 3:13, [3, 4, 5, 10, 11, 12]] = 1
    labels = torch.full((FOLLOWED,), NO_KIND)
    films = []
    for hint in drawings.values():
        for scale in SCALES:
            noise, asked = torch.Generator().manual_seed(4), hint.expand(FOLLOWED, 1, -1, -1)
            film = controlled_sample(base, control, asked, labels, [scale] * 20, falling(20), abar, noise)
            films.append(pictured(film[-1]).tobytes())
    packed = base64.b64encode(zlib.compress(b"".join(films), 9)).decode("ascii")
    return {"names": list(drawings), "drawings": [drawing_of(hint) for hint in drawings.values()], "films": packed}
