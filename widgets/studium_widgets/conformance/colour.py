"""Colours as eyes see them: contrast, and distance for each kind of colour vision. A colour is red, green, blue, 0-255.

Colour-blindness after Machado, Oliveira and Fernandes 2009, severity 1; distance in Oklab (Ottosson 2020).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["VISIONS", "apart", "contrast"]

Colour = Sequence[float]
Matrix = NDArray[np.float64]

VISIONS: dict[str, Matrix] = {
    "all cones": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
TO_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
TO_OKLAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def contrast(first: Colour, second: Colour) -> float:
    """The contrast ratio of WCAG 2, from 1 (the same) to 21 (black on white)."""
    low, high = sorted((_luminance(first), _luminance(second)))
    return (high + 0.05) / (low + 0.05)


def apart(first: Colour, second: Colour) -> tuple[float, str]:
    """Return the smallest distance of two colours over all kinds of colour vision, and the kind; 0.02 is just
    noticeable.
    """
    return min((float(np.linalg.norm(_seen(first, kind) - _seen(second, kind))), kind) for kind in VISIONS)


def _luminance(colour: Colour) -> float:
    return float(_linear(colour) @ [0.2126, 0.7152, 0.0722])


def _linear(colour: Colour) -> Matrix:
    share = np.asarray(colour, float) / 255
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)


def _seen(colour: Colour, vision: str) -> Matrix:
    """The colour in Oklab, (3,), as that vision has it."""
    light = np.clip(VISIONS[vision] @ _linear(colour), 0, 1)
    return np.asarray(TO_OKLAB @ np.cbrt(TO_CONES @ light))
