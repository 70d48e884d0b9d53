"""The layers that are compared: a mixture that computes with your functions, and a gated layer without a router."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Layer = Callable[[Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor, Tensor, float]]


class Mixture(nn.Module):
    """The parameters of a mixture (B, T, D) -> (B, T, D).

    compute(x, router, gate_up, down) returns the output, the balance loss, the z-loss and the share of choices dropped;
    `balance`, `z` and `dropped` are those of the last call, and `logits` what the router said in it.
    """

    def __init__(self, compute: Layer, width: int, hidden: int, experts: int, generator: torch.Generator) -> None:
        super().__init__()
        self._compute = compute
        self.router = nn.Parameter(_normal(experts, width, generator=generator))
        self.gate_up = nn.Parameter(_normal(experts, 2 * hidden, width, generator=generator))
        self.down = nn.Parameter(_normal(experts, width, hidden, generator=generator))
        self.balance, self.z, self.dropped = torch.zeros(()), torch.zeros(()), 0.0
        self._seen = torch.zeros(1, 0, width)

    def forward(self, x: Tensor) -> Tensor:
        out, self.balance, self.z, self.dropped = self._compute(x, self.router, self.gate_up, self.down)
        self._seen = x.detach()
        return out

    @property
    def logits(self) -> Tensor:
        """The router's logits (B T, E) for the input of the last call, without a gradient."""
        return F.linear(self._seen, self.router.detach()).flatten(0, 1)


class Gated(nn.Module):
    """One gated layer (..., D) -> (..., D) of any hidden width: SiLU(gate x) ⊙ (up x), then down, like one expert."""

    def __init__(self, width: int, hidden: int, generator: torch.Generator) -> None:
        super().__init__()
        self.gate = nn.Parameter(_normal(hidden, width, generator=generator))
        self.up = nn.Parameter(_normal(hidden, width, generator=generator))
        self.down = nn.Parameter(_normal(width, hidden, generator=generator))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(F.silu(F.linear(x, self.gate)) * F.linear(x, self.up), self.down)


def _normal(*shape: int, generator: torch.Generator) -> Tensor:
    return torch.randn(*shape, generator=generator) / shape[-1] ** 0.5
