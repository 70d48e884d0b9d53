"""A small detector that reads: an image becomes regions with boxes, a caption becomes word vectors.

Li et al. 2022 (arXiv 2112.03857) take a Swin transformer with a dynamic head for the image and BERT for the caption.
For 24 × 24 pixels and a dozen words, four convolutions and one are enough. What compares regions with words is not
here: it is what the lesson is about.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from studium_topics.glip.scenes import CENTRES, offsets
from studium_topics.kits.shapes import COLOURS, FORMS

WORDS = (".", *COLOURS, *FORMS)
WIDTH = 32  # of the vectors of regions and words


class Detector(nn.Module):
    """Image and caption to vectors of one space; log_scale and bias for the function that compares them.

    words: the vocabulary, in lower case; other words are not known and have the vector 0.
    """

    def __init__(self, words: Sequence[str] = WORDS) -> None:
        super().__init__()
        self.words = {word: place for place, word in enumerate(words)}
        self.trunk = nn.Sequential(
            nn.Conv2d(3, 24, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(24, 48, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(48, 64, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(64, 64, 3, padding=1),
            nn.ReLU(),
        )
        self.region, self.box = nn.Linear(64, WIDTH), nn.Linear(64, 4)
        self.embedding = nn.Parameter(torch.randn(len(words), WIDTH))
        self.mix = nn.Conv1d(WIDTH, WIDTH, 3, padding=1, bias=False)
        self.log_scale = nn.Parameter(torch.tensor(-math.log(WIDTH) / 2))
        self.bias = nn.Parameter(torch.tensor(-3.0))

    def look(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return vectors (N, 36, 32) and boxes (N, 36, 4) of the regions of images (N, 3, 24, 24).

        A box is left, top, right, bottom in cells; the network gives how far each side is from the region's centre.
        """
        features = self.trunk(images).flatten(2).mT
        left, top, right, bottom = F.softplus(self.box(features)).unbind(-1)
        x, y = CENTRES.to(images.device).unbind(-1)
        return self.region(features), torch.stack([x - left, y - top, x + right, y + bottom], -1)

    def read(self, captions: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Return vectors (N, M, 32) of the tokens of captions, and which of the M places hold a token, bool (N, M).

        A token's vector is made of its own word and of the words beside it, by one convolution.
        """
        tokens = [[self.words.get(text[a:b].lower(), -1) for a, b in offsets(text)] for text in captions]
        most = max(map(len, tokens))
        ids = torch.tensor([row + [-1] * (most - len(row)) for row in tokens], device=self.embedding.device)
        lengths = torch.tensor([len(row) for row in tokens], device=ids.device)
        vectors = self.embedding[ids] * (ids >= 0)[..., None]
        return self.mix(vectors.mT).mT, torch.arange(most, device=ids.device) < lengths[:, None]


def drawn(seed: int, words: Sequence[str] = WORDS) -> Detector:
    """Return a Detector with the weights of `seed`; the global random state is left as it was found."""
    with torch.random.fork_rng([]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would also seed the GPUs
        return Detector(words)
