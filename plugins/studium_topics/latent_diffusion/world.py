"""Large drawn shapes near the middle of small images, with captions of two words: what the lesson's models learn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from studium_topics.kits.shapes import COLOURS, FORMS, NAMES, alone, draw, kinds

SIDE = 32
ROOM = 0.4  # of the places at which a shape would be whole
START = "(start)"
WORDS = ("", START, *COLOURS, *FORMS)  # 0 is padding
KINDS = kinds()[kinds()[:, 2] == 1]  # (30, 3): colour, form, and the size, which is large


@dataclass(frozen=True)
class Drawings:
    """images (N, 3, 32, 32) in [-1, 1], their captions as words (N, 3), and their kinds (N, 3)."""

    images: Tensor
    words: Tensor
    kinds: Tensor


def drawings(each: int, generator: torch.Generator) -> Drawings:
    """Return `each` drawings of each of the 30 kinds."""
    chosen = KINDS.repeat(each, 1)
    scenes = []
    for (shape,) in alone(chosen, generator):
        x, y = (0.5 + ROOM * (place - 0.5) for place in (shape.x, shape.y))
        scenes.append((replace(shape, x=x, y=y),))
    names = [NAMES[colour * len(FORMS) + form] for colour, form, _ in chosen.tolist()]
    return Drawings(draw(scenes, SIDE, generator, noise=0.03).images, tokens(names), chosen)


def tokens(captions: Sequence[str]) -> Tensor:
    """Return captions such as "red ring", "ring" or "" as words (B, 3): the start, then the words, then padding.

    Raise ValueError for a word that no drawing has.
    """
    unknown = sorted({word for caption in captions for word in caption.split()} - set(WORDS[2:]))
    if unknown:
        raise ValueError(f"captions need words of {', '.join(WORDS[2:])}, got {', '.join(unknown)}")
    rows = torch.zeros(len(captions), 3, dtype=torch.long)
    for row, caption in enumerate(captions):
        words = [START, *caption.split()]
        rows[row, : len(words)] = torch.tensor([WORDS.index(word) for word in words])
    return rows


def drop_captions(words: Tensor, p: float, generator: torch.Generator) -> Tensor:
    """Return words (B, L) in which a share p of the captions is empty: only their first word is left."""
    dropped = torch.rand(len(words), generator=generator) < p
    kept = words.clone()
    kept[dropped, 1:] = 0
    return kept
