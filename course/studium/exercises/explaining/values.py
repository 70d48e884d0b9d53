"""Values as explanations compare them: numbers, arrays and tensors as NumPy arrays, containers by their parts."""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, NamedTuple

import numpy as np

from studium.exercises.comparison import difference

RTOL, ATOL = 1e-4, 1e-6
Array = np.ndarray[Any, Any]


class Part(NamedTuple):
    """A value inside a result, and where it is: () for the result itself."""

    place: tuple[Any, ...]
    value: Any


def array(value: Any) -> Array | None:
    """Return a number, an array or a tensor of numbers as an array; None for anything else."""
    if is_tensor(value):
        if value.is_sparse or value.is_quantized:
            return None
        value = value.detach().cpu().resolve_conj().resolve_neg()
        return np.asarray((value.double() if value.is_floating_point() else value).numpy())
    if isinstance(value, bool | int | float | complex | np.generic | np.ndarray):
        found = np.asarray(value)
        found = found.astype(np.float64) if found.dtype.kind == "f" else found
        return found if found.dtype.kind in "biufc" else None
    return None


def parts(value: Any, place: tuple[Any, ...] = ()) -> Iterator[Part]:
    """Return the parts of a value that hold no others, in order; those of a mapping in the order of its keys' names."""
    if isinstance(value, Mapping):
        items = sorted(value.items(), key=lambda item: repr(item[0]))  # the order of keys says nothing
    elif isinstance(value, list | tuple):
        items = list(enumerate(value))
    elif is_dataclass(value) and not isinstance(value, type):
        items = [(one.name, getattr(value, one.name)) for one in fields(value)]
    else:
        yield Part(place, value)
        return
    for key, inner in items:
        yield from parts(inner, (*place, key))


def same(actual: Any, expected: Any) -> bool:
    """Return whether two values are equal: floats within RTOL and ATOL, NaN equal to NaN, whatever their types are."""
    one, other = list(parts(actual)), list(parts(expected))
    if type(actual) is not type(expected) and (len(one) > 1 or len(other) > 1) and not _alike(actual, expected):
        return False
    return [part.place for part in one] == [part.place for part in other] and all(
        _same_part(a.value, b.value) for a, b in zip(one, other, strict=True)
    )


def _alike(actual: Any, expected: Any) -> bool:
    return any(isinstance(actual, kind) and isinstance(expected, kind) for kind in (Mapping, list | tuple))


def _same_part(actual: Any, expected: Any) -> bool:
    one, other = array(actual), array(expected)
    if one is None or other is None:
        return one is other and not difference(actual, expected)
    return close(one, other)


def close(one: Array, other: Array, rtol: float = RTOL, atol: float = ATOL) -> bool:
    """Return whether arrays have one shape and equal entries."""
    return one.shape == other.shape and bool(equal_entries(one, other, rtol, atol).all())


def equal_entries(one: Array, other: Array, rtol: float = RTOL, atol: float = ATOL) -> Array:
    """Return entry by entry whether arrays of one shape are equal: whole numbers exactly."""
    if {one.dtype.kind, other.dtype.kind} & set("fc"):
        return np.isclose(one, other, rtol=rtol, atol=atol, equal_nan=True)
    return np.asarray(one == other)


def distinct(values: Array) -> int:
    """Return how many different entries an array has, those that agree to four digits counted once."""
    flat = values.ravel()
    if flat.dtype.kind == "b":
        flat = flat.astype(np.int64)
    flat = flat[np.isfinite(flat)]
    if flat.dtype.kind == "c":
        return len(np.unique(flat.round(6)))
    rounded = [float(f"{value:.4g}") for value in flat[:2000]]
    return len(set(rounded))


def is_tensor(value: Any) -> bool:
    """Return whether a value is a torch tensor."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def is_module(value: Any) -> bool:
    """Return whether a value is a torch module."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.nn.Module)
