"""Two arrays that should be equal, side by side with their difference, and where they first differ."""

from __future__ import annotations

import math
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from traitlets import Enum, Float, Int, List, TraitError, Unicode

from studium_widgets.arrays import Array
from studium_widgets.base import Widget

__all__ = ["TensorDifference"]

LARGEST = 2**16  # values of each array: half a megabyte


class TensorDifference(Widget):
    """Your array next to the reference, and the difference, as heat maps; with more than two axes, one slice at a time.

    actual, expected: numbers of any shape, NaN and infinity too, up to 65 536 each; `between` cuts larger ones. They
    differ where |actual − expected| > atol + rtol |expected|; NaN equals NaN. index: the slice shown, one number for
    each axis except the last two. show: "difference" or "wrong" in the third map. dtypes: names of the two types.
    origin: the index in the whole array at which the part shown begins; shapes: the shapes of the whole arrays. Raises
    TraitError for anything but arrays of real numbers.
    """

    _script = "tensor_difference.js"
    _style = "tensor_difference.css"

    actual = Array("float64", None, finite=None)
    expected = Array("float64", None, finite=None)
    rtol = Float(1.3e-6).tag(sync=True, between=(0, 1e300))
    atol = Float(1e-5).tag(sync=True, between=(0, 1e300))
    index = List(Int()).tag(sync=True, between=(0, LARGEST))
    show = Enum(("difference", "wrong"), "difference").tag(sync=True)
    dtypes = List(Unicode()).tag(sync=True)
    origin = List(Int()).tag(sync=True, between=(0, 2**53))
    shapes = List(List(Int())).tag(sync=True)

    @classmethod
    def between(cls, actual: Any, expected: Any, *, rtol: float = 1.3e-6, atol: float = 1e-5) -> Self:
        """Return the two arrays, with their types; of large ones the part around the first difference."""
        full = cls.actual.validate(cls, actual), cls.expected.validate(cls, expected)
        origin, parts = _cut(*full, rtol, atol)
        dtypes = [
            str(getattr(value, "dtype", type(value).__name__)).removeprefix("torch.") for value in (actual, expected)
        ]
        shapes = [list(array.shape) for array in full]
        index = [] if full[0].shape != full[1].shape else _first_slice(*parts, rtol, atol)
        state = {"index": index, "dtypes": dtypes, "origin": origin, "shapes": shapes}
        return cls(actual=parts[0], expected=parts[1], rtol=rtol, atol=atol, **state)

    @classmethod
    def example(cls) -> Self:
        rng = np.random.default_rng(0)
        expected = rng.normal(size=(3, 12, 16)).astype(np.float32)
        actual = expected.copy()
        actual[1, 4:, 5:9] *= 0.5
        actual[1, 7, 12] = np.nan
        return cls.between(actual, expected)

    @classmethod
    def largest(cls) -> Self:
        expected = np.random.default_rng(0).normal(size=(4, 128, 128))
        return cls.between(expected + 0.1 * (np.abs(expected) > 2), expected)

    @property
    def alt(self) -> str:
        actual, expected = self._pair()
        if actual.shape != expected.shape:
            return f"Yours has shape {actual.shape}, the reference {expected.shape}."
        wrong = _wrong(actual, expected, self.rtol, self.atol)
        if not wrong.any():
            return f"Yours equals the reference, shape {actual.shape}."
        first = tuple(int(i) for i in np.argwhere(wrong)[0])
        place = list(first) if not self.origin else [i + o for i, o in zip(first, self.origin, strict=True)]
        values = f"yours {actual[first]:.6g}, reference {expected[first]:.6g}"
        return f"{int(wrong.sum())} of {wrong.size} values differ, first at {place}: {values}."

    def check(self) -> None:
        actual, expected = self._pair()
        for name, array in (("actual", actual), ("expected", expected)):
            if array.size > LARGEST:
                advice = "TensorDifference.between(actual, expected) cuts out the part that differs"
                raise TraitError(f"{name} needs at most {LARGEST} values, got {array.size}: {advice}")
        leading = max(0, actual.ndim - 2) if actual.shape == expected.shape else 0
        if self.index and len(self.index) != leading:
            raise TraitError(f"index needs {leading} numbers, one for each axis except the last two, got {self.index}")
        for axis, (at, size) in enumerate(zip(self.index, actual.shape, strict=False)):
            if not 0 <= at < size:
                raise TraitError(f"index needs to be from 0 to {size - 1} on axis {axis}, got {at}")
        if not (self.rtol >= 0 and self.atol >= 0):
            raise TraitError(f"rtol and atol need to be 0 or above, got {self.rtol} and {self.atol}")

    def _pair(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        actual: Any = self.actual
        expected: Any = self.expected
        return actual, expected


def _wrong(actual: NDArray[Any], expected: NDArray[Any], rtol: float, atol: float) -> NDArray[np.bool_]:
    return np.asarray(~np.isclose(actual, expected, rtol=rtol, atol=atol, equal_nan=True))


def _first_slice(actual: NDArray[Any], expected: NDArray[Any], rtol: float, atol: float) -> list[int]:
    """Return the index of the slice with the first difference, one number for each axis except the last two."""
    wrong = np.argwhere(_wrong(actual, expected, rtol, atol))
    leading = max(0, actual.ndim - 2)
    return [int(i) for i in wrong[0][:leading]] if len(wrong) else [0] * leading


def _cut(
    actual: NDArray[Any], expected: NDArray[Any], rtol: float, atol: float
) -> tuple[list[int], tuple[NDArray[Any], NDArray[Any]]]:
    """Return where the part shown begins, and the two parts. If shapes differ, it begins at the first value."""
    if actual.shape != expected.shape:
        return [], (_part(actual, [0] * actual.ndim)[1], _part(expected, [0] * expected.ndim)[1])
    wrong = np.argwhere(_wrong(actual, expected, rtol, atol))
    centre = [int(i) for i in wrong[0]] if len(wrong) else [0] * actual.ndim
    origin, part = _part(actual, centre)
    return origin, (part, _part(expected, centre)[1])


def _part(array: NDArray[Any], centre: list[int]) -> tuple[list[int], NDArray[Any]]:
    """Return a part around `centre` of at most LARGEST values: the longest axis is halved until it fits."""
    lengths = list(array.shape)
    while math.prod(lengths) > LARGEST:
        longest = lengths.index(max(lengths))
        lengths[longest] = -(-lengths[longest] // 2)
    places = zip(centre, lengths, array.shape, strict=True)
    origin = [min(max(0, at - length // 2), size - length) for at, length, size in places]
    slices = tuple(slice(start, start + length) for start, length in zip(origin, lengths, strict=True))
    return origin, array[slices]
