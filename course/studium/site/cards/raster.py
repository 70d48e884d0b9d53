"""Fill polygons in an image and write it as PNG."""

import struct
import zlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

Polygon = NDArray[np.float64]
"""Corners as rows of x and y in pixels, y downwards; the last corner is joined to the first."""

Colour = tuple[int, int, int]

_FINE = 4  # lines and columns that are looked at in each pixel


class Image:
    """An image of one colour in which polygons are filled, later ones over earlier ones."""

    def __init__(self, width: int, height: int, colour: Colour) -> None:
        self.pixels = np.empty((height, width, 3))
        self.pixels[:] = colour

    def fill(self, polygons: Iterable[Polygon], colour: Colour) -> None:
        """Fill the inside of all polygons together, by the nonzero rule: a letter's hole runs the other way round."""
        found = list(polygons)
        if not found:
            return
        corners = np.vstack(found)
        left, top = np.floor(corners.min(axis=0)).astype(int).clip(0)
        right, bottom = np.minimum(np.ceil(corners.max(axis=0)).astype(int), self.pixels.shape[1::-1])
        if left < right and top < bottom:
            area = self.pixels[top:bottom, left:right]
            area += _cover(found, (left, top), (right - left, bottom - top)) * (np.array(colour) - area)

    def png(self) -> bytes:
        """Return the image as the bytes of a PNG file."""
        height, width, _ = self.pixels.shape
        rows = np.zeros((height, 1 + 3 * width), np.uint8)  # each begins with its filter: none
        rows[:, 1:] = self.pixels.round().clip(0, 255).reshape(height, -1)
        head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)  # 8 bits, colours
        parts = ((b"IHDR", head), (b"IDAT", zlib.compress(rows.tobytes(), 9)), (b"IEND", b""))
        return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*part) for part in parts)


def _cover(polygons: Iterable[Polygon], corner: tuple[int, int], size: tuple[int, int]) -> NDArray[np.float64]:
    """Return the share of each pixel that lies inside the polygons."""
    width, height = size
    turns = np.zeros((height * _FINE, width * _FINE + 1), np.int16)
    fine = [(polygon - corner) * _FINE for polygon in polygons]
    _count(turns, np.vstack(fine), np.vstack([np.roll(polygon, -1, axis=0) for polygon in fine]))
    inside = np.cumsum(turns[:, :-1], axis=1, dtype=np.int16) != 0
    cover: NDArray[np.float64] = inside.reshape(height, _FINE, width, _FINE).mean(axis=(1, 3))
    return cover[..., None]


def _count(turns: NDArray[np.int16], starts: Polygon, ends: Polygon) -> None:
    """Count, where each line crosses an edge, +1 for an edge that goes down and -1 for one that goes up."""
    down = starts[:, 1] < ends[:, 1]
    (x0, y0), (x1, y1) = np.where(down, starts.T, ends.T), np.where(down, ends.T, starts.T)
    first, after = (np.ceil(y - 0.5).clip(0, len(turns)).astype(np.int64) for y in (y0, y1))
    crossed = after - first
    edge = np.repeat(np.arange(len(crossed)), crossed)
    line = first[edge] + np.arange(len(edge)) - (np.cumsum(crossed) - crossed)[edge]
    x = x0[edge] + (line + 0.5 - y0[edge]) * (x1 - x0)[edge] / (y1 - y0)[edge]
    columns = np.ceil(x - 0.5).astype(np.int64).clip(0, turns.shape[1] - 1)
    np.add.at(turns, (line, columns), np.where(down, 1, -1)[edge])


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
