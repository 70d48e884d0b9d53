"""What the pipeline is made of: captioned images, a tokenizer, a text tower, a linear autoencoder and a U-Net.

Each part is the smallest one that does its job. Stable Diffusion's have the same places and other sizes: a CLIP text
tower, a convolutional autoencoder with a factor of 8, and a U-Net that attends to every token.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from studium_topics.kits import shapes
from studium_topics.kits.diffusion import UNet

SIDE, PATCH, CHANNELS = 16, 2, 5  # pixels; pixels a side that one latent position holds; numbers that it keeps of 12
LENGTH = 9  # tokens of a prompt
WORDS = ("", "a", "and", "shape", *shapes.SIZES, *shapes.COLOURS, *shapes.FORMS)  # token 0 is no word
PAIRS, UNSAID = 0.4, 0.15  # shares: images of two shapes; words that a caption of one shape leaves out
NOISE = 0.02  # standard deviation, in units of [0, 1]


def tokens(captions: Sequence[str]) -> Tensor:
    """Return the known words of each caption as ids (N, LENGTH) long, filled up with 0; unknown words are left out.

    Words beyond LENGTH are cut off. No word is a valid caption: its ids are all 0.
    """
    ids = torch.zeros(len(captions), LENGTH, dtype=torch.long)
    for row, caption in enumerate(captions):
        known = [WORDS.index(word) for word in re.findall("[a-z]+", caption.lower()) if word in WORDS[1:]][:LENGTH]
        ids[row, : len(known)] = torch.tensor(known, dtype=torch.long)
    return ids


class TextTower(nn.Module):
    """Turn ids (N, L) into N vectors: the sum of the words' vectors, and one hidden layer. Order is not seen."""

    def __init__(self, width: int, inner: int = 64) -> None:
        super().__init__()
        self.embedding = nn.Embedding(len(WORDS), inner, padding_idx=0)
        self.up, self.down = nn.Linear(inner, 2 * inner), nn.Linear(2 * inner, width)

    def forward(self, ids: Tensor) -> Tensor:
        return self.down(F.silu(self.up(self.embedding(ids).sum(1) / 2)))


def painter(seed: int, widths: tuple[int, ...] = (24, 48)) -> UNet:
    """Return an untrained model(z, t, ids): latents (B, 5, 8, 8), times (B,) in [0, 1], ids (B, L); it answers like z.

    It is the U-Net of `ddpm` and `cfg`, in which a text tower has the place of the class label.
    """
    with torch.random.fork_rng([]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would also seed the GPUs
        model = UNet(1, CHANNELS, widths, classes=1)
        model.label = TextTower(4 * widths[0])
    return model


@dataclass(frozen=True)
class Patches:
    """A linear autoencoder: patches of 2 × 2 pixels, 12 numbers each, to their CHANNELS principal components.

    mean (12,), basis (12, CHANNELS); scale: one number, so that all latents together have a standard deviation of 1.
    """

    mean: Tensor
    basis: Tensor
    scale: Tensor

    @classmethod
    def fit(cls, images: Tensor) -> Self:
        """Return the autoencoder with the least squared error on images (N, 3, S, S)."""
        rows = _patches(images).reshape(-1, 3 * PATCH**2)
        mean = rows.mean(0)
        basis = torch.linalg.eigh(torch.cov((rows - mean).T)).eigenvectors.flip(1)[:, :CHANNELS]
        return cls(mean, basis, ((rows - mean) @ basis).std())

    def encode(self, images: Tensor) -> Tensor:
        """Return latents (N, CHANNELS, S / 2, S / 2) of images (N, 3, S, S)."""
        return ((_patches(images) - self.mean) @ self.basis / self.scale).movedim(-1, 1)

    def decode(self, latents: Tensor) -> Tensor:
        """Return images (N, 3, S, S) in [-1, 1] of latents (N, CHANNELS, S / 2, S / 2)."""
        rows = self.scale * latents.movedim(1, -1) @ self.basis.T + self.mean
        return F.pixel_shuffle(rows.movedim(-1, 1), PATCH).clamp(-1, 1)


def _patches(images: Tensor) -> Tensor:
    return F.pixel_unshuffle(images, PATCH).movedim(1, -1)


@dataclass(frozen=True)
class Captioned:
    """Images (N, 3, 16, 16) in [-1, 1], a caption each, and what is drawn: one tuple of shapes an image."""

    images: Tensor
    captions: list[str]
    scenes: list[shapes.Scene]

    @classmethod
    def drawn(cls, count: int, seed: int, pairs: float = PAIRS, unsaid: float = UNSAID) -> Self:
        """Return new images: a share `pairs` of two small shapes, the others of one; captions leave words unsaid."""
        generator = torch.Generator().manual_seed(seed)
        double = round(pairs * count)
        kinds = shapes.kinds()
        scenes = shapes.alone(kinds[torch.randint(len(kinds), (count - double,), generator=generator)], generator)
        names = torch.randint(len(shapes.NAMES), (double, 2), generator=generator).tolist()
        scenes += shapes.in_quadrants([[shapes.NAMES[i] for i in pair] for pair in names], generator)
        said = (torch.rand(count, 3, generator=generator) >= unsaid).tolist()
        captions = [_caption(scene, words) for scene, words in zip(scenes, said, strict=True)]
        return cls(shapes.draw(scenes, SIDE, generator, NOISE).images, captions, scenes)


def _caption(scene: shapes.Scene, said: Sequence[bool]) -> str:
    if len(scene) > 1:
        return " and ".join(f"a {shape.name}" for shape in scene)
    _, size, colour, form = scene[0].caption.split()
    words = (size if said[0] else "", colour if said[1] else "", form if said[2] else "shape")
    return " ".join(("a", *filter(None, words)))


def noise_of(seed: int) -> Tensor:
    """Return the noise (CHANNELS, 8, 8) that an image with this seed begins with."""
    return torch.randn(CHANNELS, SIDE // PATCH, SIDE // PATCH, generator=torch.Generator().manual_seed(seed))
