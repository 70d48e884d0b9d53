"""Draw a lesson's diagram, which consists of a few elements and classes, into an image."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from xml.etree.ElementTree import Element

import numpy as np

from studium.site.cards.lettering import letters, width
from studium.site.cards.palette import GROUND, INK, PAPER, PARTS, QUIET, pale
from studium.site.cards.raster import Colour, Image, Polygon
from studium.site.cards.shapes import ellipse, head, path, rounded, stroke

_LETTERS = {"title": 17.0, "maths": 17.0, "small": 13.0, "sub": 13.0}
_HEAD = 9.0
Box = tuple[float, float, float, float]


def draw(image: Image, svg: Element, box: Box) -> None:
    """Draw as large as fits into ``box``: left, top, width and height in pixels. Raise ValueError if it cannot."""
    if any(part.get("transform") for part in svg.iter()):
        raise ValueError("a card draws no transformed parts")
    left, top, wide, high = box
    x, y, own_width, own_height = (float(number) for number in re.split(r"[\s,]+", svg.get("viewBox", "").strip()))
    scale = min(wide / own_width, high / own_height)
    left, top = left + (wide - own_width * scale) / 2, top + (high - own_height * scale) / 2
    _Drawing(image, scale, np.array([left - x * scale, top - y * scale])).draw(svg)


@dataclass
class _Drawing:
    image: Image
    scale: float
    corner: Polygon

    def draw(self, svg: Element) -> None:
        for part in svg.iter():
            kind = part.tag.rpartition("}")[2]
            if drawing := _KINDS.get(kind):
                drawing(self, part)

    def fill(self, polygons: list[Polygon], colour: Colour) -> None:
        self.image.fill([polygon * self.scale + self.corner for polygon in polygons], colour)

    def rect(self, part: Element) -> None:
        x, y, wide, high, radius = _numbers(part, "x", "y", "width", "height", "rx")
        outline, inside = _colours(part)
        self.fill([rounded(x - 0.8, y - 0.8, wide + 1.6, high + 1.6, radius + 0.8)], outline)
        self.fill([rounded(x + 0.8, y + 0.8, wide - 1.6, high - 1.6, radius - 0.8)], inside)

    def ellipse(self, part: Element) -> None:
        x, y, r, rx, ry = _numbers(part, "cx", "cy", "r", "rx", "ry")
        outline, inside = _colours(part)
        self.fill([ellipse(x, y, (rx or r) + 0.8, (ry or r) + 0.8)], outline)
        self.fill([ellipse(x, y, (rx or r) - 0.8, (ry or r) - 0.8)], inside)

    def line(self, part: Element) -> None:
        x1, y1, x2, y2 = _numbers(part, "x1", "y1", "x2", "y2")
        self._lines(part, [np.array([[x1, y1], [x2, y2]])])

    def path(self, part: Element) -> None:
        self._lines(part, path(part.get("d", "")))

    def polygon(self, part: Element) -> None:
        outline, inside = _colours(part)
        (corners, *_) = path(f"M{part.get('points', '')}")
        self.fill([corners], inside)
        self.fill([*stroke(np.vstack([corners, corners[:1]]), 1.6)], outline)

    def text(self, part: Element) -> None:
        x, y = _numbers(part, "x", "y")
        words = [*_words(part)]
        whole = sum(width(text, size) for text, size, _ in words)
        x -= whole * {"middle": 0.5, "end": 1.0}.get(part.get("text-anchor", ""), 0.0)
        for text, size, lower in words:
            self.fill([*letters(text, x, y + lower, size)], _ink(part))
            x += width(text, size)

    def _lines(self, part: Element, lines: list[Polygon]) -> None:
        colour = next((PARTS[word] for word in _classes(part) if word in PARTS), QUIET)
        for line in lines:
            self.fill([*stroke(line, 2.0)], colour)
            if "arrow" in _classes(part) and len(line) > 1:
                self.fill([head(line, _HEAD)], colour)


_KINDS: dict[str, Callable[[_Drawing, Element], None]] = {
    "rect": _Drawing.rect,
    "circle": _Drawing.ellipse,
    "ellipse": _Drawing.ellipse,
    "line": _Drawing.line,
    "path": _Drawing.path,
    "polygon": _Drawing.polygon,
    "text": _Drawing.text,
}


def _classes(part: Element) -> list[str]:
    return part.get("class", "").split()


def _numbers(part: Element, *names: str) -> list[float]:
    return [float(part.get(name, "0")) for name in names]


def _colours(part: Element) -> tuple[Colour, Colour]:
    """Return the colours of a shape's outline and of its inside."""
    words = _classes(part)
    colour = next((PARTS[word] for word in words if word in PARTS), None)
    if colour:
        return colour, colour if "fill" in words else pale(colour)
    return (INK, PAPER) if "data" in words else (QUIET, GROUND)


def _ink(part: Element) -> Colour:
    words = _classes(part)
    named = next((PARTS[word] for word in words if word in PARTS), QUIET if "small" in words else INK)
    return PAPER if "on" in words else named


def _words(part: Element) -> Iterator[tuple[str, float, float]]:
    """Yield each piece of a text with its size, and how much lower than the line it is."""
    size = _size(part, 15.0)
    yield part.text or "", size, 0.0
    lower = 0.0
    for piece in part:
        lower += float(piece.get("dy", "0"))
        yield piece.text or "", _size(piece, size), lower
        yield piece.tail or "", size, lower


def _size(part: Element, default: float) -> float:
    return next((_LETTERS[word] for word in _classes(part) if word in _LETTERS), default)
