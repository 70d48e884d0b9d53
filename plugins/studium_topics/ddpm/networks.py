"""The network that predicts noise in points of the plane; that for digits is in the kits."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from studium_topics.kits.diffusion import timestep_embedding


class PointDenoiser(nn.Module):
    """An MLP that predicts, from points x (B, 2) and timesteps t (B,) of T, one vector (B, 2): 38 000 parameters.

    The timestep comes in as an embedding of 1000 t / T, so that the same network serves any T.
    """

    def __init__(self, timesteps: int, width: int = 128, time_width: int = 32) -> None:
        super().__init__()
        table = timestep_embedding(torch.arange(timesteps) * (1000 / timesteps), time_width)  # (T, time_width)
        self.register_buffer("table", table, persistent=False)
        sizes = [2 + time_width, width, width, width]
        layers = [layer for a, b in pairwise(sizes) for layer in (nn.Linear(a, b), nn.SiLU())]
        self.net = nn.Sequential(*layers, nn.Linear(width, 2))

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        return self.net(torch.cat([x, self.table[t]], -1))  # (B, 2 + time_width) to (B, 2)
