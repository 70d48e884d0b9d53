"""Noise-conditional score networks: a small one for points in the plane, and the kit's U-Net as one for digits."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from studium_topics.kits.diffusion import digit_unet

PIXELS = 0.85  # root mean square of the digits' pixels, which are between -1 and 1


class ScoreNet(nn.Module):
    """An MLP that returns, for points x (B, 2) and noise levels sigma (B,), one vector (B, 2): 34,000 parameters.

    reach: about the root mean square of the clean data. Points are divided by sqrt(reach² + sigma²), so that the
    network sees numbers near 1 at every level, and log(sigma) is a third input. The output is divided by sigma, because
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
    """Return a ScoreNet with the parameters of `seed`; the global random state stays as it is."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return ScoreNet(reach)


class DigitScores(nn.Module):
    """The score of noisy digits x (B, 1, 8, 8) at levels sigma (B,) of a ladder: (B, 1, 8, 8); 78,000 parameters.

    As in ScoreNet the input is scaled to about 1 and the output divided by sigma. The U-Net of the kit is told the
    number of the level; a sigma between two levels counts as the nearer one. Untrained, it answers 0.
    """

    def __init__(self, sigmas: Tensor, seed: int) -> None:
        super().__init__()
        self.unet = digit_unet(len(sigmas), seed=seed)
        self.register_buffer("heights", sigmas.log().float(), persistent=False)

    def forward(self, x: Tensor, sigma: Tensor) -> Tensor:
        level = (self.heights - sigma.log().unsqueeze(-1)).abs().argmin(-1)  # (B,)
        column = sigma.to(x.dtype).view(-1, 1, 1, 1)
        return self.unet(x / (PIXELS**2 + column.square()).sqrt(), level) / column
