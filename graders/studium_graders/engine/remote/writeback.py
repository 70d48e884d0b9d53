"""What became of the arguments: the receiver of a request finds what changed, its sender takes the changes over."""

import dataclasses
import itertools
import random
import sys
from collections import OrderedDict, UserDict, UserList, deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from studium_graders.engine.remote import frames, instances, sparse_matrices, streams
from studium_graders.engine.remote.arrays import tensor_bytes
from studium_graders.engine.remote.decode import RefusedError
from studium_graders.engine.remote.known_estimators import is_estimator, without_measure
from studium_graders.engine.remote.wire import ProtocolError

if TYPE_CHECKING:
    from studium_graders.engine.remote.encode import Encoder

CONTAINERS = (list, dict, set, deque)
HOLDERS = (UserDict, UserList)  # containers that hold their items in another, ``data``


@dataclasses.dataclass(frozen=True)
class _Held:
    """The items of a frame of pandas', or of a sparse matrix."""

    items: list[Any]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Held) and same_state(self.items, other.items, by_value=True)


class Frame:
    """The objects of one request, in the order of their indices. ``kept`` frames remember what they held at first."""

    def __init__(self, objects: list[Any], *, kept: bool = False) -> None:
        self.objects = objects
        self.replaced: dict[int, Any] = {}  # what the other side gets to see where this side keeps its own
        self.moved: set[int] = set()  # random generators that go on here in another way than there
        self._indices = {id(value): index for index, value in enumerate(objects)} if kept else {}
        self.states = [state_of(value) for value in objects] if kept else []
        self._told: dict[int, Any] = {}  # what the last message told the changes of, as it was before

    def index_of(self, value: Any) -> int | None:
        """Give the index of an object that came with the request."""
        return self._indices.get(id(value))

    def get(self, index: Any) -> Any:
        """Give the object with an index."""
        if type(index) is not int or not 0 <= index < len(self.objects):
            raise ProtocolError("no such argument")
        return self.replaced.get(index, self.objects[index])

    def changes(self, encoder: "Encoder") -> Iterator[list[Any]]:
        """Give index and content of each object that changed since the last time."""
        self._told.clear()
        for index, state in enumerate(self.states):
            if state is None:
                continue
            value = self.objects[index]
            if not same_state(state, state_of(value, copy=False)):
                self.states[index] = state_of(value)
                yield [index, encoder.change(value)]
                self._told[index] = state

    def resend(self) -> None:
        """Tell again what a message told that could not be sent."""
        for index, state in self._told.items():
            self.states[index] = state

    def holding(self) -> Iterator[Any]:
        """Give what this frame refers to: the objects, what containers among them hold, and what is noted of these."""
        yield self.objects
        for value, state in zip(self.objects, self.states, strict=True):
            now = value if type(value) is tuple else state_of(value, copy=False)
            yield from (parts for parts in (state, now) if type(parts) is list or parts is value)

    def write(self, index: Any, content: Any) -> bool:
        """Put new contents into an object of this side, in place; tell whether that changed it."""
        value = self.get(index)
        before = state_of(value)
        overwrite(value, content)
        return not same_state(before, state_of(value), by_value=True)


def holds_items(kind: type) -> bool:
    """Tell whether the instances of a class are containers or arrays, which code may change in place."""
    containers = (list, deque, set, bytearray, np.ndarray)
    known = kind in containers or issubclass(kind, dict) or frames.is_mutable(kind)
    return known or streams.is_stream(kind) or sparse_matrices.is_sparse(kind) or is_estimator(kind)


def may_change(kind: type) -> bool:
    """Tell whether code may change instances of a class in place, so that they have a state."""
    return kind in GENERATORS or kind is torch.Tensor or holds_items(kind) or dataclasses.is_dataclass(kind)


def is_held(kind: type) -> bool:
    """Tell whether the instances of a class are what they hold in ``__dict__``."""
    return instances.is_plain(kind) or is_estimator(kind)


def state_of(value: Any, *, copy: bool = True) -> Any:
    """Give what to compare later in order to see whether an object was changed in place; None if it cannot be."""
    kind = type(value)
    if kind is list or kind is deque:
        return list(value)
    if issubclass(kind, dict):
        return [part for item in dict.items(value) for part in item]
    if kind is set:
        return list(value)
    if kind is bytearray:
        return bytes(value)
    if streams.is_stream(kind):
        return streams.state(value)
    if kind is np.ndarray:
        return (
            list(value.reshape(-1))
            if value.dtype.hasobject
            else (value.dtype, value.shape, value.copy() if copy else value)
        )
    if kind is torch.Tensor and value.layout is torch.strided:
        return (value.dtype, value.shape, value.detach().clone() if copy else value.detach())
    if kind in GENERATORS:
        return GENERATORS[kind](value)
    if dataclasses.is_dataclass(kind) and hasattr(value, "__dict__"):
        return list(value.__dict__.values())
    if frames.is_mutable(kind):
        return _Held(list(frames.flat(value)))
    if sparse_matrices.is_sparse(kind):
        return _Held(sparse_matrices.state(value))
    if is_held(kind):
        return [part for item in value.__dict__.items() for part in item]
    return None


def _parts(state: dict[str, Any]) -> list[Any]:
    return [
        part.tobytes() if isinstance(part, np.ndarray) else _parts(part) if isinstance(part, dict) else part
        for part in state.values()
    ]


GENERATORS: dict[type, Callable[[Any], Any]] = {
    torch.Generator: lambda value: value.get_state().numpy().tobytes(),
    random.Random: lambda value: repr(value.getstate()),
    np.random.Generator: lambda value: repr(_parts(value.bit_generator.state)),
    np.random.RandomState: lambda value: repr(_parts(value.get_state(legacy=False))),
}


def same_state(before: Any, now: Any, *, by_value: bool = False) -> bool:
    """Tell whether two states are of equal contents; items count by identity unless they are plain and by_value."""
    if type(before) is tuple and type(now) is tuple:
        return before[:2] == now[:2] and _same_bytes(before[2], now[2])
    if type(before) is not list or type(now) is not list:
        return type(before) is type(now) and bool(before == now)
    return len(before) == len(now) and all(
        a is b or (by_value and type(a) is type(b) and type(a) in _PLAIN and (a == b or a != a))
        for a, b in zip(before, now, strict=True)
    )


def twins_of(value: Any, other: Any) -> dict[int, Any] | None:
    """Give, by ``id()``, what stands in ``other`` for each object of ``value``; None where their data differ."""
    found: dict[int, Any] = {}
    return found if _are_twins(value, other, found) else None


def _are_twins(value: Any, other: Any, found: dict[int, Any]) -> bool:
    kind = type(value)
    if kind is not type(other) or value is None or kind in _PLAIN:
        return kind is type(other) and bool(value == other or (value != value and other != other))
    if id(value) in found:
        return found[id(value)] is other
    state, now = map(list if kind is tuple else _uncopied, (value, other))
    if state is None:
        return False
    found[id(value)] = other
    if same_state(state, now, by_value=True):
        return True
    return type(state) is list and len(state) == len(now) and all(map(_are_twins, state, now, itertools.repeat(found)))


def _uncopied(value: Any) -> Any:
    return state_of(value, copy=False)


def _same_bytes(before: Any, now: Any) -> bool:
    if isinstance(before, torch.Tensor):
        before, now = (np.frombuffer(tensor_bytes(part, sys.maxsize), np.uint8) for part in (before, now))
    else:
        before, now = (np.ascontiguousarray(part).reshape(-1).view(np.uint8) for part in (before, now))
    return bool(np.array_equal(before, now))


_PLAIN = frozenset({bool, int, float, complex, str, bytes})


def overwrite(value: Any, content: Any) -> None:
    """Give an object the contents of another of its kind. Raises ProtocolError where the kinds differ."""
    kind, other = without_measure(type(value)), without_measure(type(content))
    family = next((base for base in (dict, list) if issubclass(kind, base)), kind)
    if other is not kind and (family is kind or other is not family):
        raise ProtocolError("an argument that became another kind of object")
    if kind is list or kind is bytearray:
        value[:] = content
    elif kind is deque:
        value.clear()
        value.extend(content)
    elif issubclass(kind, (dict, set)):
        (OrderedDict.clear if kind is OrderedDict else kind.clear)(value)
        value.update(content)
    elif streams.is_stream(kind):
        streams.overwrite(value, content)
    elif kind is np.ndarray:
        _overwrite_array(value, content)
    elif kind is torch.Generator:
        value.set_state(content.get_state())
    elif kind is random.Random:
        value.setstate(content.getstate())
    elif kind is np.random.Generator:
        value.bit_generator.state = content.bit_generator.state
    elif kind is np.random.RandomState:
        value.set_state(content.get_state(legacy=False))
    elif dataclasses.is_dataclass(kind):
        value.__dict__.update(content.__dict__)
    elif is_held(kind) or sparse_matrices.is_sparse(kind):
        value.__dict__.clear()
        value.__dict__.update(content.__dict__)
    elif frames.is_mutable(kind):
        frames.overwrite(value, content)
    elif issubclass(kind, torch.Tensor):
        overwrite_tensor(value, content)


def _overwrite_array(value: np.ndarray[Any, Any], content: np.ndarray[Any, Any]) -> None:
    try:
        if value.dtype != content.dtype and value.nbytes == content.nbytes:
            value.dtype = content.dtype  # type: ignore[misc]
        if value.shape != content.shape:
            value.resize(content.shape, refcheck=False)
    except (TypeError, ValueError) as error:
        raise RefusedError("an array of the test's cannot be changed so") from error
    if value.dtype != content.dtype:
        raise ProtocolError("an array that changed its dtype")
    value[...] = content


def overwrite_tensor(value: torch.Tensor, content: torch.Tensor) -> None:
    """Give a tensor the contents of another, in place where the shapes are equal."""
    with torch.no_grad():
        if value.shape == content.shape and value.dtype == content.dtype:
            value.copy_(content)
        else:
            value.data = content.detach()
