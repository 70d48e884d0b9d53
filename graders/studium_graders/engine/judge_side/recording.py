"""What a test does that shows in one process alone.

It changes values after they have crossed, where code that has kept one would see that; or it watches what PyTorch does.
"""

import math
import sys
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from types import FunctionType
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import _get_current_dispatch_mode

from studium_graders.engine.kinds.dataframe_parts import kind_of
from studium_graders.engine.kinds.library import is_library
from studium_graders.engine.kinds.random_generators import is_generator
from studium_graders.engine.wire.arguments import same_state, state_of
from studium_graders.engine.wire.codec import Context

CHANGES = "it changes a value that it has passed to the answer, or got from it"
WATCHES = "it watches the operations of PyTorch, and those of the answer are made in another process"
_MOST = 1 << 18  # parts that are looked at during a test: items, or _PART bytes of an array
_PART = 256
_ITEM = 8  # bytes of an item of a frame, about
_ALONE = 2  # references to a value that only ``_Kept`` has
_CONTAINERS: tuple[type[Any], ...] = (list, dict, set, deque, bytearray)
_SILENT = frozenset({"__init__", "__new__", "__repr__", "__str__"})


@dataclass
class _Kept:
    value: Any
    state: Any


class Crossings:
    """Values that crossed and may be changed in place, and what they held then.

    What would take longer than ``_MOST`` parts is passed over: such a test is judged as it would be without a change.
    """

    def __init__(self) -> None:
        self._context: Context | None = None
        self._kept: dict[int, _Kept] = {}
        self._crossing: list[Any] = []
        self._left = _MOST
        self._changed = self._watched = False

    def stand_on(self, context: Context) -> None:
        """Begin to watch a conversation."""
        self._context = context

    def begin(self) -> None:
        """Begin a test: what was changed before is not its doing."""
        self.look(last=True)
        self._left, self._changed, self._watched = _MOST - self._size, False, False

    def end(self) -> str:
        """Return why the test needs one process, "" where it does not."""
        self.look(last=True)
        return WATCHES if self._watched else CHANGES if self._changed else ""

    def note(self, objects: Iterable[Any]) -> None:
        """Keep what crosses until the request has ended."""
        self._crossing += objects

    def note_extended(self, cls: type) -> None:
        """Note that data of a class of a course's cross, whose own methods their copies do not have.

        A module's are asked for here.
        """
        if issubclass(cls, torch.nn.Module):
            return
        lineage = [base for base in cls.__mro__ if not is_library(base.__module__)]
        data = next((base for base in cls.__mro__ if base not in lineage), object)
        own = {name for base in lineage for name, value in vars(base).items() if isinstance(value, FunctionType)}
        self._changed |= data is not object and any(hasattr(data, name) for name in own - _SILENT)

    def look(self, *, last: bool = False) -> None:
        """See what the test has changed since a request ended; the ``last`` time in a test in any case."""
        self._watched |= _get_current_dispatch_mode() is not None
        if self._left >= 0:
            self._left -= self._size
        if self._left >= 0 or last:
            self._changed |= sum(map(self._renew, self._kept.values())) > 0
            self._forget_unused()

    def request_ended(self) -> None:
        """Keep what the values of a request hold now."""
        crossing, self._crossing = self._crossing, []
        self._keep(crossing)

    def _keep(self, values: Iterable[Any]) -> None:
        for value in values:
            size, state = _size(value), self._state(value)
            if size > self._left:
                self._kept.pop(id(value), None)
            elif state is not None:
                self._left -= size
                self._kept[id(value)] = _Kept(value, state)

    def _state(self, value: Any) -> Any:
        """Return what to compare later; None for what cannot change, and for generators, which go on by draws."""
        return None if self._context is None or is_generator(value) else state_of(value, self._context)

    def _renew(self, kept: _Kept) -> bool:
        """Keep what a value holds now; return whether that is something else than before."""
        before, kept.state = kept.state, self._state(kept.value)
        return not same_state(before, kept.state)

    @property
    def _size(self) -> int:
        return sum(_size(kept.value) for kept in self._kept.values())

    def _forget_unused(self) -> None:
        """Forget what no test can change any more."""
        for key, kept in list(self._kept.items()):
            if sys.getrefcount(kept.value) == _ALONE and not _is_view(kept.value):
                del self._kept[key]


def _size(value: Any) -> int:
    if isinstance(value, np.ndarray | torch.Tensor):
        return 1 + math.prod(value.shape) * value.itemsize // _PART
    if kind_of(type(value)) in ("frame", "series"):
        return 1 + int(value.size) * _ITEM // _PART
    base = next((base for base in _CONTAINERS if isinstance(value, base)), None)
    return 1 if base is None else 1 + base.__len__(value)


def _is_view(value: Any) -> bool:
    """Return whether the memory is that of another value, through which a test may change it."""
    if isinstance(value, torch.Tensor):
        return value._is_view()
    return isinstance(value, np.ndarray) and value.base is not None
