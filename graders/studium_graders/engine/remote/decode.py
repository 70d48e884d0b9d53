"""Nodes to values of plain base types. Nothing here runs a name or a type that the message chose freely."""

import array
from collections import ChainMap, UserDict, UserList, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from studium_graders.engine.remote import arrays
from studium_graders.engine.remote.encode import MOST_ITEMS
from studium_graders.engine.remote.policy import item_of, step
from studium_graders.engine.remote.tags import Tag
from studium_graders.engine.remote.wire import ProtocolError

if TYPE_CHECKING:
    from studium_graders.engine.remote.peer import Peer

_PLAIN = frozenset({type(None), bool, int, float, str, bytes})
_UNFINISHED = object()
CONTAINERS = (
    *(list, tuple, range, deque, set, frozenset, dict, bytearray, memoryview, array.array),
    *(UserList, UserDict, ChainMap, MappingProxyType, *map(type, ({}.keys(), {}.values(), {}.items()))),
)


class RefusedError(TypeError):
    """The message is sound, and holds what is not wanted here: the call that brought it fails."""


class Decoder:
    """Decodes the values of one message. ``path`` is where handles in it come from."""

    def __init__(self, peer: "Peer", buffers: list[memoryview], path: str) -> None:
        self.peer = peer
        self.buffers = buffers
        self.path = path
        self.objects: list[Any] = []
        self.outputs: tuple[torch.Tensor, ...] = ()
        self.depth = 0
        self.changing = ""  # of which argument it is read what became of it
        self._inside = False
        self._inward = peer.inward
        self._within = False  # an attribute
        self.at: tuple[int | str, bool] | None = None  # in the outermost container, and whether each place is apart

    def decode(self, node: Any) -> Any:
        """Give the value of a node."""
        if type(node) is not list:
            if type(node) in _PLAIN:
                if node is None or node != node:
                    return self.missing(node)
                return node if self._inward is None or type(node) is not str else self._inward(node)
            raise ProtocolError("no value")
        reader = READERS.get(node[0])
        if reader is None:
            raise ProtocolError("no tag")
        value = reader(self, node)
        held = issubclass(type(value), CONTAINERS)  # no matter what a student's object calls its class
        return self.peer.container(value, self) if held and not self._inside else value

    def items(self, nodes: list[Any], *, of_tuple: bool = False) -> list[Any]:
        """Give the values of nodes inside a container."""
        return list(self.each(nodes, of_tuple=of_tuple))

    def each(self, nodes: list[Any], *, of_tuple: bool) -> Iterator[Any]:
        """Give one by one the values of nodes inside a container."""
        outermost = self.depth == 0
        self.depth += 1
        for index, node in enumerate(nodes):
            if outermost:
                self.at = index, of_tuple
            yield self.decode(node)
        self.depth -= 1

    def buffer(self, index: Any) -> memoryview:
        """Give a buffer of the message."""
        if type(index) is not int or not 0 <= index < len(self.buffers):
            raise ProtocolError("no buffer")
        return self.buffers[index]

    @property
    def origin(self) -> str:
        """Give the path of the value that is being read."""
        return item_of(self.path) if self.depth else self.path

    @property
    def is_asked_for(self) -> bool:
        """Tell whether the value that is being read is itself what a request gave."""
        return not (self.depth or self._within)

    @property
    def places(self) -> tuple[str, ...]:
        """Give the path of the value that is being read, and that of its place alone: this first where it is apart."""
        if self.changing:
            return (self.path + self.changing,)
        if not self.depth or self.at is None:
            return (self.origin,)
        place, apart = self.at
        exact = f"{self.origin}{place}"
        return (exact, self.origin) if apart else (self.origin, exact)

    def missing(self, value: Any) -> Any:
        """Give a value that may be None or NaN, or what takes its place."""
        return value if self._inside else self.peer.missing(value, self)

    def received(self, value: Any) -> Any:
        """Give an array of the message, or what takes its place."""
        return value if self._inside else self.peer.received(value, self)

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Read arrays that are parts of a value, which count together with it."""
        before, self._inside = self._inside, True
        try:
            yield
        finally:
            self._inside = before

    def place(self) -> Callable[[Any], Any]:
        """Keep the next index for a value that is built after its items; give the function that puts it there."""
        index = len(self.objects)
        self.objects.append(_UNFINISHED)

        def put(value: Any) -> Any:
            self.objects[index] = value
            return value

        return put

    def apart(self, node: Any) -> Any:
        """Give the value of a node whose parts have no index in the message."""
        before, self.objects = self.objects, []
        try:
            return self.decode(node)
        finally:
            self.objects = before

    def attribute(self, name: str, node: Any, *, apart: bool = False) -> Any:
        """Give the value of a node that is an attribute of the value that is being read."""
        before = self.path, self.depth, self._within, self.at
        self.path, self.depth, self._within, self.at = step(self.origin, name), 0, True, None
        try:
            return self.apart(node) if apart else self.decode(node)
        finally:
            self.path, self.depth, self._within, self.at = before

    def put(self, value: Any) -> Any:
        """Give a value the next index."""
        self.objects.append(value)
        return value


def _read_seen(decoder: Decoder, node: list[Any]) -> Any:
    value = _at(decoder.objects, node[1])
    if value is _UNFINISHED:
        raise ProtocolError("a tuple that holds itself")
    return value


def _at(values: list[Any], index: Any) -> Any:
    if type(index) is not int or not 0 <= index < len(values):
        raise ProtocolError("no such object")
    return values[index]


def _read_list(decoder: Decoder, node: list[Any]) -> Any:
    value: list[Any] = decoder.put([])
    value.extend(decoder.each(node[1:], of_tuple=False))  # one by one: an item may be the list itself
    return value


def _packed(code: str) -> Callable[[Decoder, list[Any]], Any]:
    def read(decoder: Decoder, node: list[Any]) -> Any:
        data = decoder.buffer(node[1])
        if len(data) > 8 * MOST_ITEMS:
            raise ProtocolError("a list that is too long")
        numbers = array.array(code)
        numbers.frombytes(data)
        found = numbers.tolist()
        if code == "d" and np.isnan(numbers).any():
            found = [decoder.missing(item) if item != item else item for item in found]
        return decoder.put(found)

    return read


def _read_tuple(decoder: Decoder, node: list[Any]) -> Any:
    put = decoder.place()
    return put(tuple(decoder.items(node[1:], of_tuple=True)))


def fill(decoder: Decoder, mapping: Any, nodes: list[Any]) -> Any:
    """Put keys and values, one after the other, into a mapping."""
    if len(nodes) % 2:
        raise ProtocolError("a key without its value")
    outermost = decoder.depth == 0
    decoder.depth += 1
    for index in range(0, len(nodes), 2):
        key = decoder.decode(nodes[index])
        if outermost:
            decoder.at = (key, True) if type(key) is str else None
        mapping[key] = decoder.decode(nodes[index + 1])
    decoder.depth -= 1
    return mapping


def _read_dict(decoder: Decoder, node: list[Any]) -> Any:
    return fill(decoder, decoder.put({}), node[1:])


def _read_set(decoder: Decoder, node: list[Any]) -> Any:
    value: set[Any] = decoder.put(set())
    value.update(decoder.items(node[1:]))
    return value


def _read_frozenset(decoder: Decoder, node: list[Any]) -> Any:
    put = decoder.place()
    return put(frozenset(decoder.items(node[1:])))


def _read_array(decoder: Decoder, node: list[Any]) -> Any:
    _, dtype, shape, data, *by_columns = node
    array = arrays.array_of(arrays.dtype_of(dtype), shape, decoder.buffer(data))
    return decoder.put(decoder.received(np.asfortranarray(array) if by_columns else array))


def _read_objects(decoder: Decoder, node: list[Any]) -> Any:
    put = decoder.place()
    values = decoder.items(node[2])
    found = np.empty(len(values), object)
    for index, value in enumerate(values):
        found[index] = value
    return put(decoder.received(found.reshape(node[1])))


def _read_scalar(decoder: Decoder, node: list[Any]) -> Any:
    value = arrays.array_of(arrays.dtype_of(node[1]), [], decoder.buffer(node[2]))[()]
    return decoder.peer.number(value, decoder)


def _read_tensor(decoder: Decoder, node: list[Any]) -> Any:
    _, dtype, shape, data = node
    return decoder.put(decoder.received(arrays.tensor_of(dtype, shape, decoder.buffer(data))))


def _read_sparse(decoder: Decoder, node: list[Any]) -> Any:
    put = decoder.place()
    with decoder.inside():
        indices, values = decoder.items(node[1:3])
    return put(decoder.received(torch.sparse_coo_tensor(indices, values, node[3], check_invariants=True).coalesce()))


def _read_torch_dtype(_: Decoder, node: list[Any]) -> Any:
    return arrays.TORCH_DTYPES[node[1]]


def _read_slice(decoder: Decoder, node: list[Any]) -> Any:
    return slice(*decoder.items(node[1:4]))


Reader = Callable[[Decoder, list[Any]], Any]

READERS: dict[int, Reader] = {
    Tag.SEEN: _read_seen,
    Tag.BIG_INT: lambda _, node: int(node[1], 16),
    Tag.COMPLEX: lambda decoder, node: decoder.missing(complex(node[1], node[2])),
    Tag.TEXT: lambda _, node: node[1].decode("utf-8", "surrogatepass"),
    Tag.LIST: _read_list,
    Tag.FLOATS: _packed("d"),
    Tag.INTS: _packed("q"),
    Tag.TUPLE: _read_tuple,
    Tag.DICT: _read_dict,
    Tag.SET: _read_set,
    Tag.FROZENSET: _read_frozenset,
    Tag.BYTES: lambda decoder, node: bytes(decoder.buffer(node[1])),
    Tag.BYTEARRAY: lambda decoder, node: decoder.put(bytearray(decoder.buffer(node[1]))),
    Tag.RANGE: lambda _, node: range(node[1], node[2], node[3]),
    Tag.SLICE: _read_slice,
    Tag.CONSTANT: lambda _, node: (Ellipsis, NotImplemented)[node[1]],
    Tag.ARRAY: _read_array,
    Tag.OBJECTS: _read_objects,
    Tag.SCALAR: _read_scalar,
    Tag.NUMPY_DTYPE: lambda _, node: arrays.dtype_of(node[1]),
    Tag.TENSOR: _read_tensor,
    Tag.SPARSE: _read_sparse,
    Tag.TORCH_DTYPE: _read_torch_dtype,
    Tag.DEVICE: lambda _, node: torch.device(node[1]),
    Tag.SIZE: lambda _, node: torch.Size(node[1:]),
    Tag.ENTRY: lambda decoder, node: decoder.peer.entry(decoder, node),
    Tag.MIRROR: lambda decoder, node: decoder.received(decoder.peer.mirrors.find(node[1], node[2])),
    Tag.FETCHED: lambda decoder, node: decoder.peer.fetched(node[1], decoder, node[2]),
    Tag.OUTPUT: lambda decoder, node: decoder.put(decoder.received(_at(list(decoder.outputs), node[1]))),
}
