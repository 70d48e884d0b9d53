"""What every diffusion needs besides the exercises: the linear noise schedule, and a network for handwritten digits.

The network is a small U-Net for square images. Whatever identifies a level of noise, a timestep or a sigma, is passed
as the index of that level; a class label can be passed as well. The digits are in `digits`, the loss comes from the
topic.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# AdamW with a one-cycle schedule that peaks at LEARNING_RATE, for `digit_unet` on 899 digits of 8 x 8 pixels. With 100
# levels of noise and no label: 18 s on one core, 540 MB, and most samples are legible digits.
STEPS, BATCH, LEARNING_RATE = 800, 64, 4e-3


def linear_betas(timesteps: int) -> Tensor:
    """Return betas (T,) float64, t = 0..T-1: 0.0001 to 0.02, times 1000 / T, at most 0.999 (Ho et al. 2020)."""
    return torch.linspace(0.1, 20, timesteps, dtype=torch.float64).div(timesteps).clamp(max=0.999)


def timestep_embedding(t: Tensor, width: int, period: float = 10000.0) -> Tensor:
    """Return the timesteps t (B,) as sines and cosines (B, width), width even and at least 4.

    The first half has sines, the second cosines; frequencies fall geometrically from 1 to 1 / period. This is DDPM's
    own convention; Stable Diffusion's puts the cosines first and stops just above 1 / period.
    """
    half = width // 2
    frequency = torch.exp(-math.log(period) * torch.arange(half, device=t.device) / (half - 1))  # (half,)
    angle = t.float().unsqueeze(-1) * frequency  # (B, half)
    return torch.cat([angle.sin(), angle.cos()], -1)


class UNet(nn.Module):
    """Predict a tensor like the images x (B, C, S, S) from x, the level t (B,) and, if there are classes, y (B,).

    `levels` is the number of levels t; `classes` the number of labels, 0 for a network without labels. `widths` has the
    channels of each resolution, which halves from one to the next, so S is a multiple of 2^(len(widths) - 1). Level and
    label scale and shift every block; skips join the two halves. The last convolution starts at 0, so the untrained
    network returns 0. If there are classes, y can be left out: then no label is added.
    """

    def __init__(self, levels: int, channels: int = 1, widths: tuple[int, ...] = (16, 32), classes: int = 0) -> None:
        super().__init__()
        self.scale, first, told = 1000 / levels, widths[0], 4 * widths[0]
        self.level = nn.Sequential(nn.Linear(first, told), nn.SiLU(), nn.Linear(told, told))
        self.label = nn.Embedding(classes, told) if classes else None
        self.enter = nn.Conv2d(channels, first, 3, padding=1)
        ins = (first, *widths[:-1])
        self.down = nn.ModuleList(Block(a, b, told) for a, b in zip(ins, widths, strict=True))
        self.middle = Block(widths[-1], widths[-1], told)
        self.up = nn.ModuleList(Block(2 * b, a, told) for a, b in zip(ins[::-1], widths[::-1], strict=True))
        self.leave = nn.Sequential(nn.GroupNorm(8, first), nn.SiLU(), nn.Conv2d(first, channels, 3, padding=1))
        nn.init.zeros_(self.leave[-1].weight)
        nn.init.zeros_(self.leave[-1].bias)

    def forward(self, x: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        told = self.embed(t, y)
        return self.decode(*self.encode(x, told), told)

    def embed(self, t: Tensor, y: Tensor | None = None) -> Tensor:
        """Return what every block is told about the level t (B,) and the label y (B,): (B, 4 · widths[0])."""
        told = self.level(timestep_embedding(t * self.scale, self.enter.out_channels))
        return told if y is None else told + self._embedded(y)

    def encode(self, x: Tensor, told: Tensor, extra: Tensor | float = 0.0) -> tuple[list[Tensor], Tensor]:
        """Return the skips, one (B, widths[i], S / 2^i, S / 2^i) for each width, and the middle, like the last skip.

        extra (B, widths[0], S, S): is added to the output of the first convolution.
        """
        x, skips = self.enter(x) + extra, []
        for depth, block in enumerate(self.down):
            x = block(F.avg_pool2d(x, 2) if depth else x, told)
            skips.append(x)
        return skips, self.middle(x, told)

    def decode(self, skips: list[Tensor], middle: Tensor, told: Tensor) -> Tensor:
        """Return the prediction (B, C, S, S) for the skips and the middle of `encode`; the last skip is read first."""
        x = middle
        for depth, (block, skip) in enumerate(zip(self.up, reversed(skips), strict=True)):
            x = F.interpolate(x, scale_factor=2.0) if depth else x
            x = block(torch.cat([x, skip], 1), told)
        return self.leave(x)

    def _embedded(self, y: Tensor) -> Tensor:
        if self.label is None:
            raise ValueError("labels need a network that has classes, got one without: pass classes= when it is made")
        return self.label(y)


class Block(nn.Module):
    """Two convolutions with a residual connection; told (B, W) scales and shifts the channels between them.

    Images (B, inputs, S, S) become (B, outputs, S, S); both numbers of channels are multiples of 8.
    """

    def __init__(self, inputs: int, outputs: int, told: int) -> None:
        super().__init__()
        self.before, self.after = nn.GroupNorm(8, inputs), nn.GroupNorm(8, outputs)
        self.first = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.modulate = nn.Linear(told, 2 * outputs)
        self.bypass = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor, told: Tensor) -> Tensor:
        scale, shift = self.modulate(F.silu(told))[..., None, None].chunk(2, 1)  # (B, outputs, 1, 1)
        y = self.first(F.silu(self.before(x)))
        y = self.second(F.silu(self.after(y) * (1 + scale) + shift))
        return self.bypass(x) + y


def digit_unet(levels: int, classes: int = 0, seed: int = 0) -> UNet:
    """Return an untrained UNet for digits (B, 1, 8, 8), with the parameters of `seed`; the global random state is
    unchanged.

    A topic that trains with and without labels requests one class more than there are, and uses that one for "no
    label".
    """
    with torch.random.fork_rng([]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would also seed the GPUs
        return UNet(levels, classes=classes)
