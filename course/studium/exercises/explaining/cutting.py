"""Cutting a call smaller: every axis of one size together, and the whole numbers that equal it."""

import dataclasses
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from studium.exercises.explaining.values import is_tensor
from studium.exercises.observation import Call, snapshot

_CONTAINERS = (list, tuple)


def smaller(call: Call) -> Iterator[Call]:
    """Return smaller calls, boldest first: each size to 1, to half, by one, from both ends; last in one argument."""
    known = [size for size, _ in sorted(sizes(call).items(), key=lambda item: -item[0]) if size > 1]
    for size in known:
        for new in dict.fromkeys((1, size // 2, size - 1)):
            if 0 < new < size:
                yield from (_cut(call, size, new, end) for end in (False, True))
    for place in range(len(call.args)):
        yield from (_cut(call, size, 1, False, only=place) for size in known)


def weight(call: Call) -> int:
    """Return how many numbers and items the arguments of a call hold."""
    return sum(map(_weight, (*call.args, *call.kwargs.values())))


def _weight(value: Any) -> int:
    if is_tensor(value):
        return int(value.numel())
    if isinstance(value, np.ndarray):
        return value.size
    if isinstance(value, _CONTAINERS):
        return sum(map(_weight, value))
    if isinstance(value, dict):
        return sum(map(_weight, value.values()))
    return len(value) if isinstance(value, str) else 1


def sizes(call: Call) -> Counter[int]:
    """Return how often each size occurs among the axes and lists of a call."""
    found: Counter[int] = Counter()
    for value in (*call.args, *call.kwargs.values()):
        _count(value, found)
    return found


def _count(value: Any, found: Counter[int]) -> None:
    if is_tensor(value) or isinstance(value, np.ndarray):
        found.update(value.shape)
    elif isinstance(value, _CONTAINERS):
        found[len(value)] += 1
        for item in value:
            _count(item, found)
    elif isinstance(value, dict):
        for item in value.values():
            _count(item, found)


def _cut(call: Call, size: int, new: int, from_start: bool, only: int | None = None) -> Call:
    def cut(place: int | str, value: Any) -> Any:
        return _shorter(value, size, new, from_start) if only in (None, place) else value

    args = tuple(cut(place, value) for place, value in enumerate(snapshot(call.args)))
    kwargs = {name: cut(name, value) for name, value in snapshot(call.kwargs).items()}
    return dataclasses.replace(call, args=args, kwargs=kwargs)


def _shorter(value: Any, size: int, new: int, from_start: bool) -> Any:
    kept = slice(size - new, size) if from_start else slice(new)
    if is_tensor(value) or isinstance(value, np.ndarray):
        where = tuple(kept if length == size else slice(None) for length in value.shape)
        found = value[where]
        if not is_tensor(value):
            return found.copy()
        return found.detach().clone().requires_grad_(value.requires_grad)
    if type(value) in _CONTAINERS:
        items = value[kept] if len(value) == size else value
        return type(value)(_shorter(item, size, new, from_start) for item in items)
    if type(value) is dict:
        return {key: _shorter(item, size, new, from_start) for key, item in value.items()}
    return new if type(value) is int and value == size else value
