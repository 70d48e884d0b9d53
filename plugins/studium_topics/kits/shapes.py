"""Drawn shapes with captions, boxes and masks: a small world for image models, in which everything is known.

A shape has a colour, a form, a size and a place. A scene is a few shapes that do not touch. Whatever captions leave
open, the place, the background, the shade of the ink and the noise, is drawn afresh for each image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

COLOURS = {
    "red": (0.90, 0.20, 0.20),
    "green": (0.20, 0.75, 0.30),
    "blue": (0.25, 0.40, 0.95),
    "yellow": (0.90, 0.85, 0.20),
    "purple": (0.70, 0.30, 0.85),
    "white": (0.92, 0.92, 0.92),
}
FORMS = ("disc", "ring", "square", "triangle", "cross")
SIZES = {"small": 0.2, "large": 0.35}  # the radius, as a share of the image's side
NAMES = tuple(f"{colour} {form}" for colour in COLOURS for form in FORMS)
QUADRANTS = ("upper left", "upper right", "lower left", "lower right")


@dataclass(frozen=True)
class Shape:
    """One shape: indices into COLOURS, FORMS and SIZES, and its centre and radius as shares of the image's side."""

    colour: int
    form: int
    size: int
    x: float
    y: float
    radius: float

    @property
    def name(self) -> str:
        """Colour and form, such as "red ring"."""
        return NAMES[self.colour * len(FORMS) + self.form]

    @property
    def caption(self) -> str:
        """What a caption calls the shape, such as "a small red ring"."""
        return f"a {list(SIZES)[self.size]} {self.name}"


Scene = tuple[Shape, ...]


@dataclass(frozen=True)
class Drawing:
    """Images of N scenes with up to K shapes each.

    images (N, 3, S, S) in [-1, 1]. cover (N, K, S, S): the share of each pixel that each shape covers, 0 where there
    is no such shape. boxes (N, K, 4): left, top, right, bottom in pixels, 0 where there is none. count (N,): shapes.
    """

    images: Tensor
    cover: Tensor
    boxes: Tensor
    count: Tensor

    @property
    def mask(self) -> Tensor:
        """Where any shape covers at least half of a pixel: bool (N, S, S)."""
        return self.cover.amax(1) >= 0.5


def alone(kinds: Sequence[tuple[int, int, int]] | Tensor, generator: torch.Generator) -> list[Scene]:
    """Return scenes with a single shape, one for each (colour, form, size), at a random place where it fits."""
    radii = tuple(SIZES.values())
    places = torch.rand(len(kinds), 2, generator=generator).tolist()
    scenes = []
    for (colour, form, size), place in zip(torch.as_tensor(kinds).tolist(), places, strict=True):
        radius = radii[size]
        x, y = (radius + (1 - 2 * radius) * share for share in place)
        scenes.append((Shape(colour, form, size, x, y, radius),))
    return scenes


def in_quadrants(names: Sequence[Sequence[str]], generator: torch.Generator) -> list[Scene]:
    """Return scenes in which each of up to four names, such as "red ring", gets a random quadrant to itself.

    All shapes are small. Raise ValueError for a name that is not in NAMES, or for more than four of them.
    """
    radius = SIZES["small"]
    scenes = []
    for row in names:
        if len(row) > len(QUADRANTS) or not set(row) <= set(NAMES):
            raise ValueError(f"a scene has up to 4 shapes of kits.shapes.NAMES, got {', '.join(row)}")
        places = torch.randperm(len(QUADRANTS), generator=generator)[: len(row)].tolist()
        shifts = (torch.rand(len(row), 2, generator=generator) * (0.5 - 2 * radius)).tolist()
        shapes = []
        for name, place, (right, down) in zip(row, places, shifts, strict=True):
            colour, form = divmod(NAMES.index(name), len(FORMS))
            x, y = place % 2 / 2 + radius + right, place // 2 / 2 + radius + down
            shapes.append(Shape(colour, form, 0, x, y, radius))
        scenes.append(tuple(shapes))
    return scenes


def kinds(held_out: Sequence[str] = ()) -> Tensor:
    """Return (colour, form, size) of every kind, (60, 3), without those whose names are held out."""
    rows = [
        (colour, form, size)
        for colour, form, size in product(range(len(COLOURS)), range(len(FORMS)), range(len(SIZES)))
        if NAMES[colour * len(FORMS) + form] not in held_out
    ]
    return torch.tensor(rows)


def draw(scenes: Sequence[Scene], side: int, generator: torch.Generator, noise: float = 0.05) -> Drawing:
    """Draw scenes on images of side × side pixels, each on a different dark background.

    noise: standard deviation of what is added to each value of an image, in units of [0, 1].
    """
    count, most = len(scenes), max(map(len, scenes), default=0)
    images = 0.35 * torch.rand(count, 3, 1, 1, generator=generator).expand(-1, -1, side, side)
    cover, boxes = torch.zeros(count, most, side, side), torch.zeros(count, most, 4)
    ink = torch.tensor(list(COLOURS.values()))
    for slot in range(most):
        shade = 0.06 * torch.randn(count, 3, generator=generator)
        rows = [row for row, scene in enumerate(scenes) if len(scene) > slot]
        shapes = [scenes[row][slot] for row in rows]
        cover[rows, slot], boxes[rows, slot] = _covered(shapes, side), _boxes(shapes, side)
        colour = torch.zeros(count, 3)
        colour[rows] = ink[[shape.colour for shape in shapes]] + shade[rows]
        images = images + cover[:, slot, None] * (colour[..., None, None] - images)
    images = images + noise * torch.randn(images.shape, generator=generator)
    return Drawing(images.clamp(0, 1) * 2 - 1, cover, boxes, torch.tensor([len(scene) for scene in scenes]))


def outside(form: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Return how far points are outside of their shapes, in radii; accurate near the edge, negative inside.

    form (N,): indices into FORMS. x (N, 1, S), y (N, S, 1): points relative to the centre, in radii; y grows downwards.
    Returns (N, S, S).
    """
    across, down = x.abs(), y.abs()
    length = (x.square() + y.square()).sqrt()
    bar = torch.maximum(across - 0.32, down - 1)
    shapes = (
        length - 1,
        (length - 0.76).abs() - 0.24,
        torch.maximum(across, down) - 0.85,
        torch.maximum(y - 0.6, (3**0.5 * across - y) / 2 - 0.5),
        torch.minimum(bar, torch.maximum(across - 1, down - 0.32)),
    )
    return torch.stack(shapes, 1)[torch.arange(len(form)), form]


def _numbers(shapes: Sequence[Shape], side: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return centres and radii in pixels, (N, 1, 1) each; the centre of the first pixel is at 0."""
    numbers = torch.tensor([[shape.x, shape.y, shape.radius] for shape in shapes]) * side
    x, y, radius = numbers[:, :, None, None].unbind(1)
    return x - 0.5, y - 0.5, radius


def _covered(shapes: Sequence[Shape], side: int) -> Tensor:
    x, y, radius = _numbers(shapes, side)
    axis = torch.arange(side)
    form = torch.tensor([shape.form for shape in shapes])
    distance = outside(form, (axis - x) / radius, (axis[:, None] - y) / radius)
    return (0.5 - distance * radius).clamp(0, 1)  # half a pixel of soft edge


def _boxes(shapes: Sequence[Shape], side: int) -> Tensor:
    """Return the tight boxes (N, 4): left, top, right and bottom of what each form covers, in pixels."""
    reach = torch.tensor([_REACH[FORMS[shape.form]] for shape in shapes])
    centre = torch.tensor([[shape.x, shape.y, shape.x, shape.y] for shape in shapes])
    radius = torch.tensor([[shape.radius] for shape in shapes])
    return side * (centre + radius * reach)


_REACH = {  # left, top, right, bottom of a form, in radii
    "disc": (-1.0, -1.0, 1.0, 1.0),
    "ring": (-1.0, -1.0, 1.0, 1.0),
    "square": (-0.85, -0.85, 0.85, 0.85),
    "triangle": (-1.6 / 3**0.5, -1.0, 1.6 / 3**0.5, 0.6),
    "cross": (-1.0, -1.0, 1.0, 1.0),
}
