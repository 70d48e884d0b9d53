"""Calls near a right one, in which an answer that fails hidden tests alone may go wrong in sight."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from studium.exercises.explaining.cutting import sizes
from studium.exercises.explaining.values import is_tensor
from studium.exercises.observation import Call, snapshot

Change = Callable[[Any], Any]


def nearby(call: Call) -> Iterator[Call]:
    """Return calls with arrays in reverse, sizes twice as large, a flag inverted, a whole number one more or less."""
    yield _changed(call, _reversed)
    for size in [size for size, _ in sorted(sizes(call).items()) if size][:3]:
        yield _changed(call, lambda value, s=size: _twice(value, s))  # type: ignore[misc]
    for place in [*range(len(call.args)), *call.kwargs]:
        for change in (_inverted, _more, _less):
            new = _changed(call, change, only=place)
            if _differs(call, new):
                yield new


def _changed(call: Call, change: Change, only: int | str | None = None) -> Call:
    def made(place: int | str, value: Any) -> Any:
        return change(value) if only in (None, place) else value

    args = tuple(made(place, value) for place, value in enumerate(snapshot(call.args)))
    kwargs = {name: made(name, value) for name, value in snapshot(call.kwargs).items()}
    return dataclasses.replace(call, args=args, kwargs=kwargs)


def _differs(call: Call, new: Call) -> bool:
    pairs = zip((*call.args, *call.kwargs.values()), (*new.args, *new.kwargs.values()), strict=True)
    return any(type(one) in (bool, int) and one != other for one, other in pairs)


def _inverted(value: Any) -> Any:
    return not value if isinstance(value, bool) else value


def _more(value: Any) -> Any:
    return value + 1 if type(value) is int else value


def _less(value: Any) -> Any:
    return value - 1 if type(value) is int and value > 1 else value


def _reversed(value: Any) -> Any:
    if is_tensor(value) and value.ndim:
        return value.detach().flip(0).requires_grad_(value.requires_grad)
    if isinstance(value, np.ndarray) and value.ndim:
        return value[::-1].copy()
    return value[::-1] if type(value) is list else value


def _twice(value: Any, size: int) -> Any:
    """Return a value with each axis of one size twice as long, its second half in reverse; so the whole numbers."""
    if is_tensor(value):
        import torch

        found = value.detach()
        for axis, length in enumerate(value.shape):
            found = torch.cat([found, found.flip(axis)], axis) if length == size else found
        return found.requires_grad_(value.requires_grad)
    if isinstance(value, np.ndarray):
        for axis, length in enumerate(value.shape):
            value = np.concatenate([value, np.flip(value, axis)], axis) if length == size else value
        return value
    if type(value) is list:
        return value + value[::-1] if len(value) == size else value
    return 2 * value if type(value) is int and value == size > 1 else value
