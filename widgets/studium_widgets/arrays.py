"""The array trait: numbers with a fixed type and shape that cross to the browser as bytes."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import traitlets

__all__ = ["Array", "as_numpy"]

WIRE_TYPES = ("float32", "float64", "uint8")


class Array(traitlets.TraitType):  # type: ignore[misc]
    """A read-only numpy array, or None where `optional`.

    `dtype` is "float32", "float64" or "uint8". `shape` has one entry per axis: an int that must match, or a name, where
    equal names need equal lengths: `Array("float32", ("layers", "heads", "tokens", "tokens"))`; None allows any shape.
    NumPy arrays, nested lists and torch tensors on any device are copied in. Minus infinity is allowed only with
    `finite=False`; NaN and infinity only with `finite=None`. Over the wire: {"dtype": str, "shape": [int], "data":
    bytes}, C order, little endian. Raises TraitError stating what was expected and what was given.
    """

    default_value = None
    info_text = "an array of numbers"

    def __init__(
        self,
        dtype: str = "float32",
        shape: tuple[int | str, ...] | None = ("values",),
        *,
        optional: bool = False,
        finite: bool | None = True,
        **options: Any,
    ) -> None:
        if dtype not in WIRE_TYPES:
            raise ValueError(f"an array trait needs a dtype of {', '.join(WIRE_TYPES)}, got {dtype!r}: choose one")
        self.dtype, self.shape, self.finite = dtype, shape, finite
        super().__init__(allow_none=optional, **options)
        self.tag(sync=True, to_json=to_wire, from_json=from_wire)

    def validate(self, obj: Any, value: Any) -> np.ndarray[Any, Any]:
        array = self._numbers(value)
        if self.shape is not None and (problem := _shape_problem(self.shape, array.shape)):
            raise traitlets.TraitError(f"{self.name} needs shape {_spell(self.shape)}, got {array.shape}: {problem}")
        if self.dtype != "uint8" and self.finite is not None:
            self._check_finite(array)
        array.flags.writeable = False
        return array

    def _numbers(self, value: Any) -> np.ndarray[Any, Any]:
        array = as_numpy(value)
        if array.dtype.kind not in "fiub":
            raise traitlets.TraitError(
                f"{self.name} needs {self.dtype} numbers, got {_describe(value)}: give an array, a list or a tensor"
            )
        if self.dtype == "uint8" and array.size and not (array.min() >= 0 and array.max() <= 255):
            raise traitlets.TraitError(
                f"{self.name} needs whole numbers from 0 to 255, got {array.min():g} to {array.max():g}: rescale them"
            )
        if self.dtype == "uint8" and array.dtype.kind == "f" and (array % 1).any():
            raise traitlets.TraitError(
                f"{self.name} needs whole numbers from 0 to 255, got fractions: multiply by 255 and round"
            )
        return np.array(array, dtype=self.dtype, order="C")

    def _check_finite(self, array: np.ndarray[Any, Any]) -> None:
        bad = ~np.isfinite(array) if self.finite else np.isnan(array) | np.isposinf(array)
        if bad.any():
            first = tuple(int(i) for i in np.argwhere(bad)[0])
            allowed = "finite numbers" if self.finite else "finite numbers or -inf"
            raise traitlets.TraitError(
                f"{self.name} needs {allowed}, got {array[first]} at index {first}: look for what made it"
            )


def to_wire(value: np.ndarray[Any, Any] | None, _widget: Any = None) -> dict[str, Any] | None:
    """The array as plain data and bytes; None stays None."""
    if value is None:
        return None
    little = value.astype(value.dtype.newbyteorder("<"), copy=False)
    return {"dtype": value.dtype.name, "shape": list(value.shape), "data": little.tobytes()}


def from_wire(value: dict[str, Any] | None, _widget: Any = None) -> np.ndarray[Any, Any] | None:
    """The inverse of `to_wire`; the bytes may also be base64 text, as in a saved notebook."""
    if value is None:
        return None
    data = value["data"]
    raw = base64.b64decode(data) if isinstance(data, str) else bytes(data)
    return np.frombuffer(raw, np.dtype(value["dtype"]).newbyteorder("<")).reshape(value["shape"])


def as_numpy(value: Any) -> np.ndarray[Any, Any]:
    """Return a numpy array from anything; torch tensors are recognised by their methods, so torch is optional."""
    if hasattr(value, "detach") and hasattr(value, "cpu"):
        value = value.detach().cpu()
        half = value.is_floating_point() and value.element_size() < 4
        value = value.float() if half else value  # numpy has no bfloat16
        return np.asarray(value.numpy())
    try:
        return np.asarray(value)
    except ValueError:  # rows of unequal length
        return np.empty(0, dtype=object)


def _describe(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"a {type(value).__name__} that is not a regular grid of numbers"
    return f"{type(value).__name__} {value!r}"[:60]


def _spell(shape: tuple[int | str, ...]) -> str:
    return f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"


def _shape_problem(expected: tuple[int | str, ...], got: tuple[int, ...]) -> str:
    """Return what to do about a wrong shape, or "" if the shape is right."""
    if len(got) != len(expected):
        missing = len(expected) - len(got)
        count = f"{abs(missing)} {'axis' if abs(missing) == 1 else 'axes'}"
        return f"add {count}, for example with [None]" if missing > 0 else f"remove {count}"
    lengths: dict[str, int] = {}
    for axis, (wanted, size) in enumerate(zip(expected, got, strict=True)):
        known = wanted if isinstance(wanted, int) else lengths.setdefault(wanted, size)
        if size != known:
            return f"axis {axis} must be {known} long"
    return ""
