"""Data of given cells that a submission has changed.

The judge has its own, which no submission can change. A test that reads such data must hold for what the student's code
made of it as well: who sorts in place the list that was to stay as it is has not done what was asked.
"""

import contextlib
import copy
import re
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from studium_graders.engine.judge.namespace import Namespace
from studium_graders.engine.remote.frame_parts import kind_of
from studium_graders.engine.remote.frames import is_mutable
from studium_graders.engine.remote.writeback import same_state, state_of

_WORD = re.compile(r"\w+")
_ARRAYS = (np.ndarray, torch.Tensor)
_SEQUENCES = (list, tuple, deque)
_DATA = (*_ARRAYS, *_SEQUENCES, dict, set, frozenset, bytearray, str, bytes, bool, int, float, complex, type(None))


def mentioned(names: Iterable[str], sources: Iterable[str]) -> frozenset[str]:
    """Give those names that occur in the text of some cells."""
    return frozenset(names).intersection(_WORD.findall("\n".join(sources)))


@dataclass
class GivenData:
    """What given cells bound here, as it was then. ``names`` are those that matter."""

    namespace: Namespace
    names: frozenset[str]
    _first: dict[str, Any] = field(default_factory=dict)

    def keep(self, bound: Iterable[str]) -> None:
        """Remember the data that a given cell has just bound; who is given them gets the student's own."""
        for name in bound:
            self.namespace.student.common.share(name, dict.get(self.namespace, name))
        for name in self.names.intersection(bound):
            value = dict.get(self.namespace, name)
            with contextlib.suppress(Exception):  # an object in it that cannot be copied
                if _is_data(type(value)):
                    self._first[name] = copy.deepcopy(value)

    def changed(self, names: frozenset[str]) -> frozenset[str]:
        """Give those names whose data the student's process has otherwise than they were, while they are that here."""
        return frozenset(name for name in names & self._first.keys() if self._is_changed(name))

    def _is_changed(self, name: str) -> bool:
        first = self._first[name]
        if not _same(dict.get(self.namespace, name), first):
            return False
        try:
            return not _same(self.namespace.student.get(name), first)
        except NameError:
            return True


def _is_data(kind: type) -> bool:
    return kind in _DATA or is_mutable(kind)


def is_plain_data(value: Any, deepest: int = 20) -> bool:
    """Tell whether a value is plain data, of which a copy is as good; None is not: it may be no value."""
    kind = type(value)
    if kind in _SEQUENCES or kind in (set, frozenset):
        return deepest > 0 and all(item is None or is_plain_data(item, deepest - 1) for item in value)
    if kind is dict:
        return is_plain_data(list(value.keys()), deepest) and is_plain_data(list(value.values()), deepest)
    if kind in _ARRAYS:
        return not (value.requires_grad if kind is torch.Tensor else value.dtype.hasobject)
    return value is not None and (kind in _DATA or issubclass(kind, np.generic) or bool(kind_of(kind)))


def _same(value: Any, other: Any) -> bool:
    """Tell whether data are equal; of what is no plain data nobody can tell, and it counts as equal."""
    kind = type(value)
    if kind is not type(other):
        return not (_is_data(kind) or _is_data(type(other)))
    if kind in _ARRAYS or is_mutable(kind):
        return same_state(state_of(value, copy=False), state_of(other, copy=False), by_value=True)
    if kind in _SEQUENCES:
        return len(value) == len(other) and all(map(_same, value, other))
    if kind is dict:
        return value.keys() == other.keys() and all(_same(item, other[key]) for key, item in value.items())
    return kind not in _DATA or value == other or value != value
