"""``zip`` and ``map`` for tests: what has fewer items than the rest leaves the rest unlooked at."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from studium_graders.engine.remote.objects import RemoteIterator

_SIZED = (list, tuple, dict, set, frozenset, str, bytes, range)
Note = Callable[[int, int], None]
"""Hears how often it went through, and how many items the longest had."""


def noting(kind: Any, note: Note) -> Any:
    """Give what does as ``zip`` or ``map`` does, and notes each that has come to its end."""

    class Noting(kind):  # type: ignore[misc]
        def __init__(self, *given: Any, strict: bool = False) -> None:
            self._times = 0
            parts = given if kind is zip else given[1:]
            self._longest = 0 if any(map(_is_begun, parts)) else max(map(_length, parts), default=0)

        def __next__(self) -> Any:
            try:
                found = super().__next__()
            except StopIteration:
                note(self._times, self._longest)
                raise
            self._times += 1
            return found

    Noting.__name__ = Noting.__qualname__ = kind.__name__
    Noting.__module__ = kind.__module__  # an answer may be given one
    return Noting


def _is_begun(part: Any) -> bool:
    """Tell whether this is an iterator which has given something before."""
    return isinstance(part, RemoteIterator) and part._begun


def _length(part: Any) -> int:
    """Give the number of items where asking for it asks nobody."""
    if isinstance(part, np.ndarray | torch.Tensor):
        return int(part.shape[0]) if part.ndim else 0
    return len(part) if type(part) in _SIZED else 0
