"""Scenes of shapes with captions and boxes: what a detector is trained on here, and what it is asked for.

An image has 24 × 24 pixels and 6 × 6 regions, one for each cell of 4 × 4 pixels. Boxes are measured in cells. A
caption is a list of names, such as "red ring. blue disc", in which some names are in the image and some are not. Six of
the 30 names are held out: no image of training shows them, and no caption has them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from studium_topics.kits.shapes import COLOURS, FORMS, NAMES, Drawing, draw, in_quadrants

SIDE, GRID = 24, 6
CELL = SIDE // GRID  # pixels
MOST_NAMES = 6  # of a caption
HELD_OUT = tuple(f"{colour} {FORMS[place % len(FORMS)]}" for place, colour in enumerate(COLOURS))
SEEN = tuple(name for name in NAMES if name not in HELD_OUT)

_rows, _columns = torch.meshgrid(torch.arange(GRID), torch.arange(GRID), indexing="ij")
CENTRES = torch.stack([_columns, _rows], -1).view(-1, 2) + 0.5  # (36, 2): x, y in cells, row by row


@dataclass(frozen=True)
class Batch:
    """N images with what a caption says of them.

    images (N, 3, 24, 24) in [-1, 1]. names: of each image, those that its caption lists. owner (N, 36): which of these
    names a region belongs to, -1 for none. boxes (N, 36, 4): left, top, right, bottom of the region's shape in cells.
    """

    images: Tensor
    names: list[list[str]]
    owner: Tensor
    boxes: Tensor


@dataclass(frozen=True)
class Query:
    """Images in which one name is to be found.

    name: what is asked for. images (N, 3, 24, 24). truths: its boxes in each image, (1, 4). others: all boxes, (4, 4).
    """

    name: str
    images: Tensor
    truths: list[Tensor]
    others: list[Tensor]


def offsets(caption: str) -> list[tuple[int, int]]:
    """Return where each token of a caption starts and ends: a word or a full stop is one token."""
    return [match.span() for match in re.finditer(r"[A-Za-z]+|\.", caption)]


def batch(count: int, generator: torch.Generator) -> Batch:
    """Draw images of three or four shapes of SEEN names, and captions of MOST_NAMES names in a random order."""
    shown, listed = [], []
    for _ in range(count):
        order = torch.randperm(len(SEEN), generator=generator)[:MOST_NAMES].tolist()
        names = [SEEN[place] for place in order]
        shown.append(names[: 3 + int(torch.randint(2, (), generator=generator))])
        listed.append([names[place] for place in torch.randperm(MOST_NAMES, generator=generator).tolist()])
    drawing = draw(in_quadrants(shown, generator), SIDE, generator)
    slots = owners(drawing)
    places = torch.tensor(
        [[listed[row].index(name) for name in (*names, names[0])[:4]] for row, names in enumerate(shown)]
    )
    owner = torch.where(slots >= 0, places.gather(1, slots.clamp(min=0)), -1)
    boxes = drawing.boxes[torch.arange(count)[:, None], slots.clamp(min=0)] / CELL
    return Batch(drawing.images, listed, owner, boxes)


def owners(drawing: Drawing) -> Tensor:
    """Return which shape each region belongs to, (N, 36), -1 for none.

    A region belongs to a shape if its centre is in the middle of the shape's box: at most a quarter of the box's side
    away from the box's centre, or half a cell where that is more, so that each shape has a region.
    """
    boxes = drawing.boxes[:, :, None] / CELL
    low, high = boxes[..., :2], boxes[..., 2:]
    reach = ((high - low) / 4).clamp(min=0.5)
    inside = ((CENTRES - (low + high) / 2).abs() <= reach).all(-1) & (high > low).all(-1)  # (N, K, 36)
    return torch.where(inside.any(1), inside.to(torch.uint8).argmax(1), -1)


def query(name: str, count: int, generator: torch.Generator) -> Query:
    """Draw images with one shape of that name, two of its form in other colours, and one of its colour."""
    colour, form = name.split()
    same_form = [f"{other} {form}" for other in COLOURS if other != colour and f"{other} {form}" in SEEN]
    same_colour = [f"{colour} {other}" for other in FORMS if other != form and f"{colour} {other}" in SEEN]
    shown = []
    for _ in range(count):
        first, second = torch.randperm(len(same_form), generator=generator)[:2].tolist()
        third = int(torch.randint(len(same_colour), (), generator=generator))
        shown.append([name, same_form[first], same_form[second], same_colour[third]])
    drawing = draw(in_quadrants(shown, generator), SIDE, generator)
    boxes = drawing.boxes / CELL
    return Query(name, drawing.images, list(boxes[:, :1]), list(boxes))


def swapped(names: Sequence[str]) -> list[str]:
    """Return names with the order of their words reversed, such as "ring red"."""
    return [" ".join(reversed(name.split())) for name in names]
