"""A world of one shape on each 16 × 16 image, and what captions say of it: pairs of colour and form can be held out.

A kind is a whole number: kind = 2 · pair + size, pair = 5 · colour + form. Where a shape stands, the colour of the
ground, the shade of the ink and the noise are drawn anew for each image, and no caption mentions them.
"""

from __future__ import annotations

import torch
from torch import Tensor

from studium_topics.kits.shapes import COLOURS, FORMS, NAMES, outside

SIDE = 16
SIZES = {"small": 3.2, "large": 5.6}  # the radius in pixels
TEMPLATES = tuple(f"a {size} {{}}" for size in SIZES)

HELD_OUT_PAIRS = tuple(len(FORMS) * colour + colour % len(FORMS) for colour in range(len(COLOURS)))
KINDS = torch.arange(len(NAMES) * len(SIZES))
_held_out = torch.isin(KINDS // len(SIZES), torch.tensor(HELD_OUT_PAIRS))
SEEN, HELD_OUT = KINDS[~_held_out], KINDS[_held_out]  # (48,), (12,)


def pair_of(kinds: Tensor) -> Tensor:
    """Return which of NAMES each kind is, (N,)."""
    return kinds // len(SIZES)


def captions(kinds: Tensor) -> list[str]:
    """Return what training says of each kind, such as "a small red ring"."""
    sizes = list(SIZES)
    return [f"a {sizes[kind % len(SIZES)]} {NAMES[kind // len(SIZES)]}" for kind in kinds.tolist()]


def render(kinds: Tensor, generator: torch.Generator) -> Tensor:
    """Return images (N, 3, 16, 16) in [0, 1] of kinds (N,), each at a place of its own."""
    count = len(kinds)
    radius = torch.tensor(list(SIZES.values()))[kinds % len(SIZES)].view(-1, 1, 1)
    room = torch.rand(count, 2, generator=generator).view(2, count, 1, 1)
    centre = radius - 0.5 + (SIDE - 2 * radius) * room  # (2, N, 1, 1): the whole shape is in the image
    axis = torch.arange(SIDE)
    distance = outside(pair_of(kinds) % len(FORMS), (axis - centre[0]) / radius, (axis[:, None] - centre[1]) / radius)
    cover = (0.5 - distance * radius).clamp(0, 1)[:, None]  # (N, 1, 16, 16): half a pixel of soft edge
    ink = torch.tensor(list(COLOURS.values()))[pair_of(kinds) // len(FORMS)]
    ink = (ink + 0.06 * torch.randn(count, 3, generator=generator))[..., None, None]
    ground = 0.35 * torch.rand(count, 3, 1, 1, generator=generator)
    noise = 0.05 * torch.randn(count, 3, SIDE, SIDE, generator=generator)
    return (ground + cover * (ink - ground) + noise).clamp(0, 1)
