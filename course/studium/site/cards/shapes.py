"""The shapes of a diagram as polygons."""

import re
from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from studium.site.cards.raster import Polygon

_PATH = re.compile(r"([A-Za-z])([^A-Za-z]*)")
_NUMBER = re.compile(r"-?\d*\.?\d+(?:e-?\d+)?")


def rounded(x: float, y: float, width: float, height: float, radius: float) -> Polygon:
    """Return a rectangle with round corners."""
    radius = max(0.0, min(radius, width / 2, height / 2))
    left, top, right, bottom = x + radius, y + radius, x + width - radius, y + height - radius
    centres = ((right, bottom), (left, bottom), (left, top), (right, top))
    return np.vstack([_arc(*centre, radius, quarter) for quarter, centre in enumerate(centres)])


def ellipse(x: float, y: float, rx: float, ry: float) -> Polygon:
    """Return an ellipse around a centre."""
    return np.vstack([_arc(0, 0, 1, quarter) for quarter in range(4)]) * (rx, ry) + (x, y)


def path(text: str) -> list[Polygon]:
    """Return the corners of each line of a path of straight lines (M, L, H, V, Z); raise ValueError for any other."""
    lines: list[list[tuple[float, float]]] = []
    for command, rest in _PATH.findall(text):
        values = [float(value) for value in _NUMBER.findall(rest)]
        if command in "ML":
            pairs = list(zip(values[::2], values[1::2], strict=False))
            lines += [pairs] if command == "M" else []
            lines[-1] += pairs if command == "L" else []
        elif command in "HV":
            lines[-1] += [
                (value, lines[-1][-1][1]) if command == "H" else (lines[-1][-1][0], value) for value in values
            ]
        elif command in "Zz":
            lines[-1].append(lines[-1][0])
        else:
            raise ValueError(f"a card draws paths of M, L, H, V and Z, got {command}")
    return [np.array(line) for line in lines]


def stroke(line: Polygon, width: float) -> Iterator[Polygon]:
    """Yield a polygon for each part of a line, half a width longer at both ends so that corners close."""
    for start, end in pairwise(line):
        along = (end - start) / max(float(np.hypot(*(end - start))), 1e-9) * width / 2
        across = np.array([-along[1], along[0]])
        yield np.array([start - along + across, end + along + across, end + along - across, start - along - across])


def head(line: Polygon, size: float) -> Polygon:
    """Return the head of an arrow: a triangle whose point is the end of the line."""
    along = (line[-1] - line[-2]) / max(float(np.hypot(*(line[-1] - line[-2]))), 1e-9) * size
    across = np.array([-along[1], along[0]]) / 2
    return np.array([line[-1], line[-1] - along + across, line[-1] - along - across])


def _arc(x: float, y: float, radius: float, quarter: int) -> Polygon:
    angle = (quarter + np.linspace(0, 1, 9)) * np.pi / 2
    return np.column_stack([x + radius * np.cos(angle), y + radius * np.sin(angle)])
