"""Text as polygons, in the font of the formulas."""

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
from ziafont.font import Font

from studium.site.assets import font_file
from studium.site.cards.raster import Polygon

_STEPS = np.linspace(0, 1, 7)[1:, None]


def width(text: str, size: float) -> float:
    """Return the width of a line of text in pixels."""
    return sum(advance for _, advance in _glyphs(text)) * size


def lines(text: str, size: float, room: float) -> list[str]:
    """Break a text into lines that fit into ``room`` pixels; a longer word has a line of its own."""
    broken = [""]
    for word in text.split():
        longer = f"{broken[-1]} {word}".strip()
        if broken[-1] and width(longer, size) > room:
            broken.append(word)
        else:
            broken[-1] = longer
    return broken


def letters(text: str, x: float, y: float, size: float) -> Iterator[Polygon]:
    """Yield the outlines of a line of text that begins at ``x`` with its baseline at ``y``."""
    for outlines, advance in _glyphs(text):
        for outline in outlines:
            yield outline * (size, -size) + (x, y)
        x += advance * size


def _glyphs(text: str) -> Iterator[tuple[tuple[Polygon, ...], float]]:
    return map(_glyph, text)


@cache
def _glyph(letter: str) -> tuple[tuple[Polygon, ...], float]:
    """Return a letter's outlines and width for a font of size 1; a letter that the font lacks is left out."""
    glyph = _font().glyph(letter)
    units = _font().info.layout.unitsperem
    if glyph.index == 0:
        return (), 0.0
    return tuple(outline / units for outline in _outlines(glyph.operators)), glyph.advance() / units


def _outlines(operators: Sequence[Any]) -> Iterator[Polygon]:
    corners: list[Polygon] = []
    for operator in operators:
        points = [np.array([point.x, point.y], float) for point in vars(operator).values()]
        if type(operator).__name__ == "Moveto":
            if corners:
                yield np.vstack(corners)
            corners = [points[-1][None]]
        else:
            corners.append(_curve([corners[-1][-1], *points]))
    if corners:
        yield np.vstack(corners)


def _curve(points: list[Polygon]) -> Polygon:
    """Return points on a Bézier curve with these control points, without the first."""
    rows = [point[None] for point in points]
    while len(rows) > 1:
        rows = [before + (after - before) * _STEPS for before, after in pairwise(rows)]
    return rows[0]


@cache
def _font() -> Font:
    return Font(str(font_file()))
