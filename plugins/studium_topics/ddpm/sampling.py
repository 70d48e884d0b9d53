"""The loop of the DDIM sampler, around steps that are passed in, and a change of what a model predicts."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Predictor = Callable[[Tensor, Tensor], Tensor]
Function = Callable[..., Tensor]


def implicit(
    model: Predictor,
    start: Tensor,
    abar: Tensor,
    steps: list[int],
    ddim_step: Function,
    eta: float = 0.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Run the DDIM sampler from noise `start` (B, *) along the falling rows `steps`; eta > 0 needs a generator."""
    x, noise = start, torch.zeros_like(start)
    steps = [int(t) for t in steps]
    for t, before in zip(steps, [*steps[1:], -1], strict=True):
        if eta:
            noise = torch.randn(x.shape, dtype=x.dtype, generator=generator).to(x.device)
        x = ddim_step(model(x, torch.full((len(x),), t, device=x.device)), x, t, before, abar, eta, noise)
    return x


def eps_from_x0(model: Predictor, abar: Tensor) -> Predictor:
    """Turn a model that predicts x0 into one that predicts eps, for points (B, 2)."""

    def predict(x: Tensor, t: Tensor) -> Tensor:
        level = abar[t].unsqueeze(-1).to(x.dtype)  # (B, 1)
        return (x - level.sqrt() * model(x, t)) / (1 - level).sqrt()

    return predict
