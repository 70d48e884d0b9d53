"""The networks of the digits: a classifier that is told the noise level, and a denoiser of the same making."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from studium_topics.kits.diffusion import timestep_embedding


class NoisyNet(nn.Module):
    """A residual MLP on flattened images x (B, *) of `pixels` numbers and timesteps t (B,): (B, outputs).

    The timestep comes in as sines and cosines of 1000 t / T, so that one network serves any T. As a classifier,
    `outputs` is C and the result are logits; as a denoiser, it is `pixels`, and the result is eps, still flat.
    """

    def __init__(self, pixels: int, outputs: int, timesteps: int, width: int = 256, blocks: int = 2) -> None:
        super().__init__()
        table = timestep_embedding(torch.arange(timesteps) * (1000 / timesteps), 32)  # (T, 32)
        self.register_buffer("table", table, persistent=False)
        self.enter = nn.Linear(pixels + 32, width)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(width), nn.SiLU(), nn.Linear(width, width)) for _ in range(blocks)
        )
        self.leave = nn.Sequential(nn.LayerNorm(width), nn.SiLU(), nn.Linear(width, outputs))

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        hidden = self.enter(torch.cat([x.flatten(1), self.table[t]], 1))  # (B, width)
        for block in self.blocks:
            hidden = hidden + block(hidden)
        return self.leave(hidden)


def seeded(seed: int, pixels: int, outputs: int, timesteps: int, width: int = 256) -> NoisyNet:
    """Return a NoisyNet with the weights of `seed`; the global random state is left as it was found."""
    with torch.random.fork_rng([]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would also seed the GPUs
        return NoisyNet(pixels, outputs, timesteps, width)
