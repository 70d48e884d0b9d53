"""A small noise-conditional score network for points in the plane."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn


class ScoreNet(nn.Module):
    """An MLP that gives, for points x (B, 2) and noise levels sigma (B,), one vector (B, 2): 34 000 weights.

    reach: about the root mean square of the clean data. Points are divided by sqrt(reach² + sigma²), so that the
    network sees numbers near 1 at every level, and log(sigma) is a third input. What comes out is divided by sigma, as
    scores of noisy data grow like 1 / sigma (Song and Ermon 2020, technique 3).
    """

    def __init__(self, reach: float, width: int = 128) -> None:
        super().__init__()
        self.reach = reach
        sizes = [3, width, width, width]
        layers = [layer for a, b in pairwise(sizes) for layer in (nn.Linear(a, b), nn.SiLU())]
        self.net = nn.Sequential(*layers, nn.Linear(width, 2))

    def forward(self, x: Tensor, sigma: Tensor) -> Tensor:
        column = sigma.unsqueeze(-1).to(x.dtype)  # (B, 1)
        scaled = x / (self.reach**2 + column.square()).sqrt()
        return self.net(torch.cat([scaled, column.log()], -1)) / column


def score_net(reach: float, seed: int) -> ScoreNet:
    """A ScoreNet with the weights of `seed`; the global random state is left as it was found."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return ScoreNet(reach)
