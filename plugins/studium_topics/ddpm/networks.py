"""The networks that predict noise: an MLP for points in the plane and a small U-Net for square pictures."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from studium_topics.kits.diffusion import timestep_embedding


class PointDenoiser(nn.Module):
    """An MLP that predicts, from points x (B, 2) and timesteps t (B,) of T, one vector (B, 2): 38 000 weights.

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


class UNet(nn.Module):
    """A small U-Net that predicts the noise in pictures x (B, C, S, S) at timesteps t (B,): (B, C, S, S).

    `widths` holds the channels of each resolution, which halves from one to the next, so S needs to be a multiple of
    2^(len(widths) - 1). The timestep scales and shifts every block; skips join the two halves; one attention layer sits
    at the bottom. The last convolution starts at 0, so that the untrained network predicts no noise.
    """

    def __init__(self, timesteps: int, channels: int = 1, widths: tuple[int, ...] = (64, 128, 128)) -> None:
        super().__init__()
        self.scale, first, time = 1000 / timesteps, widths[0], 4 * widths[0]
        self.time = nn.Sequential(nn.Linear(first, time), nn.SiLU(), nn.Linear(time, time))
        self.enter = nn.Conv2d(channels, first, 3, padding=1)
        ins = (first, *widths[:-1])
        self.down = nn.ModuleList(_Block(a, b, time) for a, b in zip(ins, widths, strict=True))
        self.middle = nn.ModuleList([_Block(widths[-1], widths[-1], time), _Block(widths[-1], widths[-1], time)])
        self.attention = _Attention(widths[-1])
        self.up = nn.ModuleList(_Block(2 * b, a, time) for a, b in zip(ins[::-1], widths[::-1], strict=True))
        self.leave = nn.Sequential(nn.GroupNorm(8, first), nn.SiLU(), nn.Conv2d(first, channels, 3, padding=1))
        nn.init.zeros_(self.leave[-1].weight)
        nn.init.zeros_(self.leave[-1].bias)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        time = self.time(timestep_embedding(t * self.scale, self.enter.out_channels))  # (B, 4 first)
        x, skips = self.enter(x), []
        for level, block in enumerate(self.down):
            x = block(F.avg_pool2d(x, 2) if level else x, time)
            skips.append(x)
        x = self.middle[1](self.attention(self.middle[0](x, time)), time)
        for level, block in enumerate(self.up):
            x = F.interpolate(x, scale_factor=2.0) if level else x
            x = block(torch.cat([x, skips.pop()], 1), time)
        return self.leave(x)


class _Block(nn.Module):
    """Two convolutions with a residual connection; time (B, W) scales and shifts the channels between them."""

    def __init__(self, inputs: int, outputs: int, time: int) -> None:
        super().__init__()
        self.before, self.after = nn.GroupNorm(8, inputs), nn.GroupNorm(8, outputs)
        self.first = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.modulate = nn.Linear(time, 2 * outputs)
        self.bypass = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        scale, shift = self.modulate(F.silu(time))[..., None, None].chunk(2, 1)  # (B, outputs, 1, 1)
        y = self.first(F.silu(self.before(x)))
        y = self.second(F.silu(self.after(y) * (1 + scale) + shift))
        return self.bypass(x) + y


class _Attention(nn.Module):
    """Every place of x (B, C, H, W) looks at every other, with a residual connection."""

    def __init__(self, channels: int, heads: int = 4) -> None:
        super().__init__()
        self.heads, self.norm = heads, nn.GroupNorm(8, channels)
        self.qkv, self.out = nn.Conv2d(channels, 3 * channels, 1), nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        qkv = self.qkv(self.norm(x)).view(batch, 3, self.heads, channels // self.heads, height * width)
        query, key, value = qkv.transpose(-1, -2).unbind(1)  # (B, heads, H W, C / heads)
        mixed = F.scaled_dot_product_attention(query, key, value).transpose(-1, -2)
        return x + self.out(mixed.reshape(batch, channels, height, width))
