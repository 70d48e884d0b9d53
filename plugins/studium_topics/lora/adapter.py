"""The module that replaces a Linear: the frozen Linear, the two factors of its update, and your arithmetic."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn


class Adapter(nn.Module):
    """A Linear (out, in) with a low-rank update: x (..., in) to (..., out).

    a (rank, in) and b (out, rank) become parameters. The forward pass calls your own function,
    `forward(x, weight, bias, a, b, alpha)`. Freezing `linear` is left to you.
    """

    def __init__(self, linear: nn.Linear, a: Tensor, b: Tensor, alpha: float, forward: Callable[..., Tensor]) -> None:
        super().__init__()
        self.linear = linear
        self.a = nn.Parameter(a)
        self.b = nn.Parameter(b)
        self.alpha = float(alpha)
        self._forward = forward

    def forward(self, x: Tensor) -> Tensor:
        return self._forward(x, self.linear.weight, self.linear.bias, self.a, self.b, self.alpha)

    def get_extra_state(self) -> float:
        """Return alpha, which is saved with the factors because they mean nothing without it."""
        return self.alpha

    def set_extra_state(self, state: float) -> None:
        """Load what get_extra_state saved."""
        self.alpha = float(state)
