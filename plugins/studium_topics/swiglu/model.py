"""What the lesson trains: a tiny decoder with any feed-forward layer, and one layer alone that learns a function."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from studium_topics.kits.tiny_lm import TinyLM, base_model

Gated = Callable[..., Tensor]  # gated(x, w_gate, w_up, w_down, kind)
UNGATED: dict[str, Callable[[Tensor], Tensor]] = {"relu": F.relu, "silu": F.silu}


class FeedForward(nn.Module):
    """A feed-forward layer (..., width) to (..., out): two matrices for "relu" and "silu", three for a gated kind.

    Each matrix is drawn by the generator from ±1 / √(its inputs), as nn.Linear does. A gated layer calls your own
    function `gated(x, w_gate, w_up, w_down, kind)`.
    """

    def __init__(
        self, kind: str, width: int, hidden: int, out: int, *, gated: Gated, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.kind, self._gated = kind, gated
        self.w_up = _drawn(hidden, width, generator)
        self.w_down = _drawn(out, hidden, generator)
        self.w_gate = None if kind in UNGATED else _drawn(hidden, width, generator)

    def forward(self, x: Tensor) -> Tensor:
        if self.w_gate is None:
            return F.linear(UNGATED[self.kind](F.linear(x, self.w_up)), self.w_down)
        return self._gated(x, self.w_gate, self.w_up, self.w_down, self.kind)


def _drawn(rows: int, columns: int, generator: torch.Generator) -> nn.Parameter:
    return nn.Parameter((2 * torch.rand(rows, columns, generator=generator) - 1) / columns**0.5)


def language_model(kind: str, seed: int, *, vocabulary: int, width: int, hidden: int, gated: Gated) -> TinyLM:
    """Return an untrained decoder of two layers whose feed-forward layers are of a kind.

    All other weights are the same for every kind of one seed. The global random state is left as it was found.
    """
    model = base_model(vocabulary, seed, width=width, hidden=1)
    generator = torch.Generator().manual_seed(seed)
    for layer in model.layers:
        layer.mlp = FeedForward(kind, width, hidden, width, gated=gated, generator=generator)
    return model


def feed_forward_size(model: TinyLM) -> int:
    """Return the number of parameters in the feed-forward layers of a decoder."""
    return sum(parameter.numel() for layer in model.layers for parameter in layer.mlp.parameters())
