"""Latents and captions: a small autoencoder for colour images, and a U-Net that looks at the words of a caption.

How the U-Net attends to the words is up to the topic, which passes in a function.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from studium_topics.kits.diffusion import Block, timestep_embedding

# attend(x, context, wq, wk, wv, wo, heads, mask): x (B, C, H, W) and context (B, L, E) to (B, C, H, W); mask (B, L)
# is True where there is a word. wq and wo are (C, C), wk and wv (C, E).
Attend = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, int, Tensor], Tensor]
HEADS = 4


class Autoencoder(nn.Module):
    """Turn images (B, 3, S, S) into Gaussians of latents (B, channels, S / factor, S / factor), and latents back.

    S is a multiple of the factor. All convolutions work on patches of factor × factor pixels, at the resolution of the
    latents, so a large factor is cheap.
    """

    def __init__(self, factor: int, channels: int = 4, width: int = 64) -> None:
        super().__init__()
        pixels = 3 * factor**2
        self.factor, self.channels = factor, channels
        self.encoder = nn.Sequential(nn.PixelUnshuffle(factor), *_convolutions(pixels, width, 2 * channels))
        self.decoder = nn.Sequential(*_convolutions(channels, width, pixels), nn.PixelShuffle(factor))

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the means and the logarithms of the variances of the latents of x."""
        mean, logvar = self.encoder(x).chunk(2, 1)
        return mean, logvar

    def decode(self, z: Tensor) -> Tensor:
        """Return the images of latents z."""
        return self.decoder(z)


def _convolutions(inputs: int, width: int, outputs: int) -> list[nn.Module]:
    return [
        nn.Conv2d(inputs, width, 3, padding=1),
        nn.SiLU(),
        nn.Conv2d(width, width, 3, padding=1),
        nn.SiLU(),
        nn.Conv2d(width, outputs, 3, padding=1),
    ]


class CrossAttention(nn.Module):
    """x (B, width, S, S) plus what its positions attend to in the context (B, L, told), by the function `attend`."""

    def __init__(self, width: int, told: int, attend: Attend) -> None:
        super().__init__()
        self.norm, self.attend = nn.GroupNorm(8, width), attend
        self.query, self.key, self.value, self.out = (
            nn.Linear(inputs, width, bias=False) for inputs in (width, told, told, width)
        )

    def forward(self, x: Tensor, context: Tensor, mask: Tensor) -> Tensor:
        weights = [layer.weight for layer in (self.query, self.key, self.value, self.out)]
        return x + self.attend(self.norm(x), context, *weights, HEADS, mask)


class CaptionUNet(nn.Module):
    """Predict a tensor like x (B, C, S, S) from x, the level t (B,) and a caption, words (B, L) long.

    words: 0 is padding, 1 the word that begins every caption, so an empty caption is 1, 0, 0, …; `vocabulary` is the
    number of words with these two. `widths` are the channels of each resolution, which halves from one to the next. The
    last convolution starts at 0, so the untrained network returns 0.
    """

    def __init__(
        self, levels: int, channels: int, vocabulary: int, attend: Attend, widths: tuple[int, ...] = (32, 64)
    ) -> None:
        super().__init__()
        self.scale, first, told = 1000 / levels, widths[0], 4 * widths[0]
        self.level = nn.Sequential(nn.Linear(first, told), nn.SiLU(), nn.Linear(told, told))
        self.words = nn.Embedding(vocabulary, told)
        self.enter = nn.Conv2d(channels, first, 3, padding=1)
        ins = (first, *widths[:-1])
        self.down = nn.ModuleList(Block(a, b, told) for a, b in zip(ins, widths, strict=True))
        self.middle = Block(widths[-1], widths[-1], told)
        self.up = nn.ModuleList(Block(2 * b, a, told) for a, b in zip(ins[::-1], widths[::-1], strict=True))
        self.read = nn.ModuleList(CrossAttention(width, told, attend) for width in (widths[-1], *ins[::-1]))
        self.leave = nn.Sequential(nn.GroupNorm(8, first), nn.SiLU(), nn.Conv2d(first, channels, 3, padding=1))
        nn.init.zeros_(self.leave[-1].weight)
        nn.init.zeros_(self.leave[-1].bias)

    def forward(self, x: Tensor, t: Tensor, words: Tensor) -> Tensor:
        told = self.level(timestep_embedding(t * self.scale, self.enter.out_channels))  # (B, 4 first)
        context, mask = self.words(words), words != 0  # (B, L, 4 first), (B, L)
        x, skips = self.enter(x), []
        for depth, block in enumerate(self.down):
            x = block(F.avg_pool2d(x, 2) if depth else x, told)
            skips.append(x)
        x = self.read[0](self.middle(x, told), context, mask)
        for depth, (block, read) in enumerate(zip(self.up, self.read[1:], strict=True)):
            x = F.interpolate(x, scale_factor=2.0) if depth else x
            x = read(block(torch.cat([x, skips.pop()], 1), told), context, mask)
        return self.leave(x)
