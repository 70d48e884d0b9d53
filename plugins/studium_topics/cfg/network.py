"""The network that predicts the noise in a digit, with its label or with none."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from studium_topics.kits.diffusion import timestep_embedding

NULL = 10  # the label that stands for "any digit"


class DigitDenoiser(nn.Module):
    """A residual MLP that predicts eps (B, 1, 8, 8) from x (B, 1, 8, 8), t (B,) of T and labels y (B,), 0 to 9 or NULL.

    At width 256 it has 330,000 parameters. Time and label are added to the stream before each block.
    """

    def __init__(self, timesteps: int, width: int = 256, blocks: int = 2) -> None:
        super().__init__()
        table = timestep_embedding(torch.arange(timesteps) * (1000 / timesteps), 64)  # (T, 64)
        self.register_buffer("table", table, persistent=False)
        self.enter, self.leave = nn.Linear(64, width), nn.Linear(width, 64)
        self.time, self.label = nn.Linear(64, width), nn.Embedding(NULL + 1, width)
        self.blocks = nn.ModuleList(_Block(width) for _ in range(blocks))

    def forward(self, x: Tensor, t: Tensor, y: Tensor) -> Tensor:
        told = F.silu(self.time(self.table[t]) + self.label(y))  # (B, width)
        h = self.enter(x.flatten(1))
        for block in self.blocks:
            h = block(h, told)
        return self.leave(F.silu(h)).view_as(x)


class _Block(nn.Module):
    """h plus a layer of SiLU of h and of what was told, both (B, width)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm, self.up, self.down = nn.LayerNorm(width), nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, h: Tensor, told: Tensor) -> Tensor:
        return h + self.down(F.silu(self.up(self.norm(h) + told)))
