"""Two small towers and a learned temperature: what CLIP is, around functions that somebody else writes.

Radford et al. 2021 (arXiv 2103.00020) take a ResNet or a vision transformer, and a causal transformer for the text.
Sixteen pixels and four words need less. As in the paper, one linear map leads from each tower into the shared space.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from studium_topics.clip.shapes import COLOURS, FORMS, SIDE, SIZES

WORDS = ("a", *SIZES, *COLOURS, *FORMS)
WIDTH = 64  # of the shared space


def bag(sentences: Sequence[str]) -> Tensor:
    """The share of each of WORDS among the known words of each sentence, (N, V); unknown words are skipped."""
    counts = torch.zeros(len(sentences), len(WORDS))
    for row, sentence in enumerate(sentences):
        for word in re.findall(r"[a-z]+", sentence.lower()):
            if word in WORDS:
                counts[row, WORDS.index(word)] += 1
    return counts / counts.sum(1, keepdim=True).clamp(min=1)


class TextTower(nn.Module):
    """Sentences to features (N, 64): the mean of the words' vectors, one hidden layer, and a linear map.

    It is a bag of words by construction: the order of a sentence cannot matter.
    """

    def __init__(self, inner: int = 32, hidden: int = 64) -> None:
        super().__init__()
        self.embedding = nn.Parameter(torch.randn(len(WORDS), inner))
        self.up = nn.Linear(inner, hidden)
        self.down = nn.Linear(hidden, WIDTH, bias=False)

    def forward(self, sentences: Sequence[str]) -> Tensor:
        words = bag(sentences).to(self.embedding)
        return self.down(self.up(words @ self.embedding).relu())


class ImageTower(nn.Sequential):
    """Pictures (N, 3, 16, 16) to features (N, 64): three convolutions and a linear map."""

    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(3, 32, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 64, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(64, 64, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(4 * SIDE * SIDE, WIDTH, bias=False),
        )


class Clip(nn.Module):
    """Both towers and the logarithm of the scale, ln(1 / 0.07) at first; `scale`: another one, which stays fixed."""

    def __init__(self, scale: float | None = None) -> None:
        super().__init__()
        self.image, self.text = ImageTower(), TextTower()
        self.log_scale = nn.Parameter(torch.tensor(math.log(scale or 1 / 0.07)), requires_grad=scale is None)

    def forward(self, pictures: Tensor, sentences: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Features of N pictures and of M sentences, (N, 64) and (M, 64), of any length."""
        return self.image(pictures), self.text(sentences)


def drawn(seed: int, scale: float | None = None) -> Clip:
    """A Clip with the weights of `seed`; the global random state is left as it was found."""
    with torch.random.fork_rng([]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would also seed the GPUs
        return Clip(scale)
