"""The reference solution's process, watched: which tests change a value after it has crossed.

Each process has its own copy of such a value. Code that has kept it would see the change if test and code were in one
process, and does not where they are in two.
"""

import math
import operator
import socket
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import Field, dataclass, fields, is_dataclass
from types import FunctionType
from typing import Any

import numpy as np
import torch

from studium_graders.engine.limits import Limits
from studium_graders.engine.remote import single_numbers
from studium_graders.engine.remote.arrays import array_bytes, tensor_bytes
from studium_graders.engine.remote.decode import Decoder
from studium_graders.engine.remote.encode import BASES, Encoder
from studium_graders.engine.remote.frames import is_mutable
from studium_graders.engine.remote.lasting import is_followed
from studium_graders.engine.remote.library import is_library
from studium_graders.engine.remote.not_a_number import has_nan
from studium_graders.engine.remote.objects import RemoteClass, is_remote
from studium_graders.engine.remote.policy import CONTAINER, FULL, GOES_ON, OBJECT, Policy, item_of, step
from studium_graders.engine.remote.records import parts_of
from studium_graders.engine.remote.session import Student
from studium_graders.engine.remote.transforms import holds_transformed
from studium_graders.engine.remote.writeback import GENERATORS, Frame, state_of

_MOST = 1 << 18  # parts that are looked at during a test: items, or _PART bytes of an array
_PART = 256
_ITEM = 8  # bytes of an item of a frame, about
_DEEPEST = 4  # records in records
_ALONE = 2  # references to a value that only ``_Kept`` has
_CONTAINERS: tuple[type[Any], ...] = (list, dict, set, deque, bytearray)
_ARRAYS = (np.ndarray, torch.Tensor)
_DATA = tuple(base for base, _ in BASES)
_SILENT = frozenset({"__init__", "__new__", "__repr__", "__str__"})
_OF_ITEMS = ("__next__", "__getitem__")
_SIZED: tuple[type[Any], ...] = (*_CONTAINERS, tuple, frozenset)


class RecordingStudent(Student):
    """Notes in ``policy.both_ways`` the tests that change what has crossed in a request that has ended.

    And in ``policy.empties`` where containers without items come from, or with missing ones alone.
    """

    def __init__(self, sock: socket.socket, policy: Policy, limits: Limits, seed: bytes = b"") -> None:
        super().__init__(sock, policy, limits, seed)
        self._crossed = Crossed()
        self._crossing: list[Any] = []
        self._changed = False

    def request(self, op: str, *parts: Any, path: str = "") -> Any:
        """Ask the student's process; see what the test has changed since the last time."""
        if self.outgoing or holds_transformed(parts):
            return super().request(op, *parts, path=path)
        self._changed |= self._crossed.changed()
        try:
            return super().request(op, *parts, path=path)
        finally:
            self._crossed.keep(self._crossing)
            self._crossing.clear()

    def ask(self, op: str, *parts: Any, path: str = "") -> Any:
        """Ask the student's process; note where a number comes from, and where nothing lacks items."""
        gave = super().ask(op, *parts, path=path)
        single_numbers.note(gave, path, parts, self.policy)
        self.policy.met(FULL, path, alone=self.policy.fixed and _has_items(gave))
        if op == "next" or (op == "special" and parts[1] in _OF_ITEMS):
            self.policy.met(FULL, path + GOES_ON, alone=self.policy.fixed)
        self.policy.met(OBJECT, path, alone=self.policy.fixed and _is_object(gave))
        return gave

    def send(self, message: list[Any], encoder: Encoder) -> None:
        """Send a message, and keep what was in it until the request ends."""
        super().send(message, encoder)
        self._crossing += encoder.objects
        for value in encoder.objects:
            self._note_parts(value, f"{type(value).__name__}()")

    def _note_parts(self, value: Any, path: str, deepest: int = _DEEPEST) -> None:
        """Note where the records that a test makes hold others: an answer may have objects of its own there."""
        for name, part in parts_of(value).items() if deepest else ():
            place = step(path, name)
            held, place = (part, item_of(place)) if isinstance(part, list | tuple) else ([part], place)
            for item in held:
                if parts_of(item) or is_remote(item):
                    self.policy.may_be_own(place)
                    self._note_parts(item, place, deepest - 1)

    def decode(self, message: list[Any], decoder: Decoder) -> Any:
        """Take in a message, and keep what was in it until the request ends."""
        value = super().decode(message, decoder)
        self._crossing += decoder.objects
        return value

    def heard(self, number: int, objects: list[Any]) -> None:
        """Take note that the student's code sees what a test makes of this."""
        super().heard(number, objects)
        if is_followed(objects):
            followed = {id(value) for value in objects}
            self._crossing = [value for value in self._crossing if id(value) not in followed]

    def changed(self, frame: Frame, index: Any, content: Any) -> None:
        """Take over a change, which is not the test's."""
        super().changed(frame, index, content)
        self._crossing.append(frame.get(index))

    def container(self, value: Any, decoder: Decoder) -> Any:
        """Give a container; note where one lacks items."""
        if isinstance(value, _SIZED) and _lacks(value):  # an array may be an answer's form of that
            whole = {decoder.path, item_of(decoder.path)}
            self.policy.empties |= whole if decoder.is_asked_for else {decoder.places[0]}
        if decoder.is_asked_for and isinstance(value, tuple | dict):
            self._note_alike(value, item_of(decoder.path))
        single_numbers.note_items(value, decoder.path, self.policy)
        return super().container(value, decoder)

    def met_record(self, cls: Any) -> None:
        """Note which fields have no items to begin with: of what a test makes itself they come from nowhere."""
        empty = [field.name for field in fields(cls) if _begins_empty(field)]
        self.policy.empties |= {f"{cls.__name__}().{name}{CONTAINER}" for name in empty}

    def _note_alike(self, value: Any, place: str) -> None:
        """Where all that a tuple or a dictionary holds are containers, or arrays, what one lacks another may lack."""
        items = value.values() if isinstance(value, dict) else value
        if all(isinstance(item, (*_SIZED, *_ARRAYS)) for item in items):
            found = [entry for entry in self.policy.empties if entry.startswith(place)]
            self.policy.empties |= {place + (CONTAINER if entry.endswith(CONTAINER) else "") for entry in found}

    def keeps(self, value: Any, encoder: Encoder) -> bool:
        """Note a test that passes data which do something when they are used: their copies in the answer do not."""
        self._changed |= isinstance(value, _DATA) and _acts(type(value))
        return super().keeps(value, encoder)

    def do_method(self, target: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call a method, and note where it sets attributes: an answer may set them itself."""
        before = dict(getattr(target, "__dict__", {}))
        try:
            return super().do_method(target, name, args, kwargs)
        finally:
            now = getattr(target, "__dict__", {})
            if before.keys() != now.keys() or any(now[key] is not value for key, value in before.items()):
                self._change(target)

    @contextmanager
    def watching(self, test: str) -> Iterator[None]:
        """Note a test that changes what has crossed, or is of files and comes after one handed out was written."""
        self._crossed.begin()
        self._changed = False
        yield
        rewritten = self.files is not None and self.files.rewritten()
        if self._crossed.changed(last=True) or self._changed or rewritten:
            self.policy.both_ways.add(test)


@dataclass
class _Kept:
    value: Any
    state: Any


class Crossed:
    """Mutable plain values that crossed, and what they held then.

    What would take longer than ``_MOST`` parts is passed over: such a test is judged split alone, as it would be
    without a change. So are generators of random numbers, whose state every message brings up to date.
    """

    def __init__(self) -> None:
        self._kept: dict[int, _Kept] = {}
        self._left = _MOST

    def begin(self) -> None:
        """Begin a test: what was changed before is not its doing."""
        self.changed(last=True)
        self._left = _MOST - self._size

    def keep(self, values: Iterable[Any]) -> None:
        """Keep what these values hold now."""
        for value in values:
            size = _size(value)
            if size > self._left:
                self._kept.pop(id(value), None)
            elif (state := _state(value)) is not None:
                self._left -= size
                self._kept[id(value)] = _Kept(value, state)

    def changed(self, *, last: bool = False) -> bool:
        """Tell whether a value has changed since it was kept; the ``last`` time in a test looks in any case."""
        if self._left >= 0:
            self._left -= self._size
        if self._left < 0 and not last:
            return False
        changed = sum(map(_renew, self._kept.values())) > 0
        self._forget_unused()
        return changed

    @property
    def _size(self) -> int:
        return sum(_size(kept.value) for kept in self._kept.values())

    def _forget_unused(self) -> None:
        """Forget what no test can change any more."""
        for key, kept in list(self._kept.items()):
            if sys.getrefcount(kept.value) == _ALONE and not _is_view(kept.value):
                del self._kept[key]


def _acts(cls: type) -> bool:
    """Tell whether a class of a course's has methods of its own in place of those of the data that it extends."""
    lineage = [base for base in cls.__mro__ if not is_library(base.__module__)]
    data = next((base for base in cls.__mro__ if base not in lineage), object)
    own = {name for base in lineage for name, value in vars(base).items() if isinstance(value, FunctionType)}
    return any(hasattr(data, name) for name in own - _SILENT)


def _size(value: Any) -> int:
    if isinstance(value, np.ndarray | torch.Tensor):
        return 1 + math.prod(value.shape) * value.itemsize // _PART
    if is_mutable(type(value)):
        return 1 + int(value.size) * _ITEM // _PART
    base = next((base for base in _CONTAINERS if isinstance(value, base)), None)
    return 1 if base is None else 1 + base.__len__(value)


def _begins_empty(field: Field[Any]) -> bool:
    empty = isinstance(field.default, str | tuple) and not field.default
    made_by: Any = field.default_factory
    return empty or made_by in _SIZED


def _lacks(container: Any, deepest: int = 20) -> bool:
    """Tell whether nothing is in a container, or in those that it holds, but what is missing."""
    items = container.values() if isinstance(container, dict) else container
    return deepest > 0 and all(
        item is None
        or (type(item) is float and math.isnan(item))
        or (isinstance(item, _SIZED) and _lacks(item, deepest - 1))
        for item in items
    )


def _has_items(value: Any) -> bool:
    """Tell whether a value is a number, or has items or elements of which not all are missing."""
    if isinstance(value, _SIZED):
        return not _lacks(value)
    if isinstance(value, str | bytes):
        return bool(value)
    known = isinstance(value, _ARRAYS) or single_numbers.is_number(value)
    return known and value is not False and not has_nan(value) and 0 not in getattr(value, "shape", ())


def _is_object(value: Any) -> bool:
    """Tell whether a value is an object, of the student's or of plain data, and no function or class."""
    return isinstance(type(value), RemoteClass) or is_dataclass(type(value))


def _is_view(value: Any) -> bool:
    """Tell whether the memory is that of another value, through which a test may change it."""
    if isinstance(value, torch.Tensor):
        return value._is_view()
    return isinstance(value, np.ndarray) and value.base is not None


def _state(value: Any) -> Any:
    """Give what to compare later; None for what is not mutable plain data."""
    if type(value) in GENERATORS:
        return None
    if type(value) is np.ndarray and not value.dtype.hasobject:
        return value.dtype, value.shape, bytes(array_bytes(value))
    if type(value) is torch.Tensor and value.layout is torch.strided:
        return value.dtype, value.shape, bytes(tensor_bytes(value, sys.maxsize))
    return state_of(value)


def _renew(kept: _Kept) -> bool:
    """Keep what a value holds now; tell whether that is something else than before."""
    before, kept.state = kept.state, _state(kept.value)
    if type(before) is not list:
        return bool(before != kept.state)
    return len(before) != len(kept.state) or not all(map(operator.is_, before, kept.state))
