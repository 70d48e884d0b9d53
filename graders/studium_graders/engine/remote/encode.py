"""Values to nodes. Whatever a subclass overrides is not asked: values leave as the base type that they extend."""

import array
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from studium_graders.engine.remote import arrays
from studium_graders.engine.remote.tags import Tag
from studium_graders.engine.remote.wire import Buffer, TooLargeError

if TYPE_CHECKING:
    from studium_graders.engine.remote.mirrors import Mirror
    from studium_graders.engine.remote.peer import Peer

DEEPEST = 150
PACKED_FROM = 32  # items; shorter lists are faster one by one
MOST_ITEMS = 1 << 22  # in a list
INLINE = 1 << 12  # bytes; longer ones go as a buffer

_PLAIN = frozenset({type(None), bool, float})


class Encoder:
    """Encodes the values of one message. ``objects`` are those with an index, ``buffers`` what the nodes refer to."""

    def __init__(self, peer: "Peer", *, reply: bool = False) -> None:
        self.peer = peer
        self.objects: list[Any] = []
        self.buffers: list[Buffer] = []
        self.outputs: list[torch.Tensor] = []
        self.defined: list[Mirror] = []
        self.modules: list[Any] = []  # that the receiver does not have yet
        self.classes: list[Any] = []  # that the receiver hears of for the first time
        self.shown: set[int] = set()  # id() of mirrors whose contents the receiver is to see
        self.reply = reply
        self.own_state = False  # tensors are part of an object of the sender's, and stay so
        self.in_frame = False  # what is encoded is part of data of pandas'
        self._seen: dict[int, int] = {}
        self._depth = 0
        self._outward = peer.outward

    def encode(self, value: Any) -> Any:
        """Give the node of a value."""
        kind = type(value)
        if kind in _PLAIN:
            return value
        if kind is int:
            return value if -(2**63) <= value < 2**63 else [Tag.BIG_INT, f"{value:x}"]
        if kind is str:
            return self.text(value)
        if kind is bytes:
            return value if len(value) < INLINE else [Tag.BYTES, self.buffer(value)]
        if (index := self._seen.get(id(value))) is not None:
            return [Tag.SEEN, index]
        if (known := self.peer.known(value, self)) is not None:
            return known
        self._depth += 1
        if self._depth > DEEPEST:
            raise TooLargeError(f"a value is nested more than {DEEPEST} levels deep; use fewer levels")
        try:
            return WRITERS.get(kind, _write_other)(self, value)
        finally:
            self._depth -= 1

    def text(self, value: str) -> Any:
        """Give the node of a string, lone surrogates included."""
        if self._outward is not None:
            value = self._outward(value)
        if value.isascii():
            return value
        try:
            value.encode()
        except UnicodeEncodeError:
            return [Tag.TEXT, value.encode("utf-8", "surrogatepass")]
        return value

    def buffer(self, data: Buffer) -> int:
        """Add a buffer to the message and give its index."""
        self.buffers.append(data)
        return len(self.buffers) - 1

    @property
    def at_top(self) -> bool:
        """Tell whether the value that is being encoded is the message's own, and no item of another."""
        return self._depth == 1

    @property
    def inside(self) -> bool:
        """Tell whether the value that comes next is an item of another."""
        return self._depth > 0

    def register(self, value: Any) -> None:
        """Give a value its index, so that it is sent once."""
        self._seen[id(value)] = len(self.objects)
        self.objects.append(value)

    def unregister(self, first: int) -> None:
        """Take back the index of all values from the one with this index on."""
        del self.objects[first:]
        self._seen = {key: index for key, index in self._seen.items() if index < first}

    def apart(self, value: Any) -> Any:
        """Give the node of a value whose parts have no index in the message."""
        before = self.objects, self._seen
        self.objects, self._seen = [], {}
        try:
            return self.encode(value)
        finally:
            self.objects, self._seen = before

    def content(self, value: Any) -> Any:
        """Give the node of what a known object holds now."""
        return WRITERS.get(type(value), _write_other)(self, value)

    def change(self, value: Any) -> Any:
        """Give the node of what an argument holds now. Its index is not used again: the argument itself is meant."""
        node = self.content(value)
        self._seen.pop(id(value), None)
        return node


def _write_list(encoder: Encoder, value: list[Any]) -> Any:
    encoder.register(value)
    items = list.__iter__(value)
    if list.__len__(value) > MOST_ITEMS:
        raise TooLargeError(f"a list of more than {MOST_ITEMS} items is too large to be sent")
    if list.__len__(value) >= PACKED_FROM:
        kinds = set(map(type, items))
        items = list.__iter__(value)
        try:
            if kinds == {float}:
                return [Tag.FLOATS, encoder.buffer(array.array("d", items).tobytes())]
            if kinds == {int}:
                return [Tag.INTS, encoder.buffer(array.array("q", items).tobytes())]
        except OverflowError:
            items = list.__iter__(value)
    encode = encoder.encode
    return [Tag.LIST, *[encode(item) for item in items]]


def _write_tuple(encoder: Encoder, value: tuple[Any, ...]) -> Any:
    encoder.register(value)
    encode = encoder.encode
    return [Tag.TUPLE, *[encode(item) for item in tuple.__iter__(value)]]


def pairs(encoder: Encoder, value: dict[Any, Any]) -> list[Any]:
    """Give keys and values of a mapping, one after the other."""
    flat = []
    for key, item in list(dict.items(value)):
        flat.append(encoder.encode(key))
        flat.append(encoder.encode(item))
    return flat


def _write_dict(encoder: Encoder, value: dict[Any, Any]) -> Any:
    encoder.register(value)
    return [Tag.DICT, *pairs(encoder, value)]


def _write_set(encoder: Encoder, value: set[Any]) -> Any:
    encoder.register(value)
    return [Tag.SET, *[encoder.encode(item) for item in set.__iter__(value)]]


def _write_frozenset(encoder: Encoder, value: frozenset[Any]) -> Any:
    encoder.register(value)
    return [Tag.FROZENSET, *[encoder.encode(item) for item in frozenset.__iter__(value)]]


def _write_bytearray(encoder: Encoder, value: bytearray) -> Any:
    encoder.register(value)
    return [Tag.BYTEARRAY, encoder.buffer(bytes(value))]


def _write_array(encoder: Encoder, value: np.ndarray[Any, Any]) -> Any:
    encoder.register(value)
    plain = np.ndarray.view(value, np.ndarray)
    if plain.dtype.hasobject:
        items = [encoder.encode(item) for item in plain.reshape(-1).tolist()]
        return [Tag.OBJECTS, list(plain.shape), items]
    node = [Tag.ARRAY, arrays.dtype_node(plain.dtype), list(plain.shape), encoder.buffer(arrays.array_bytes(plain))]
    return [*node, True] if plain.flags.fnc else node  # in the order of columns


def _write_scalar(encoder: Encoder, value: np.generic) -> Any:
    plain = np.asarray(value)
    return [Tag.SCALAR, arrays.dtype_node(plain.dtype), encoder.buffer(arrays.array_bytes(plain))]


def _write_tensor(encoder: Encoder, value: torch.Tensor) -> Any:
    if type(value) not in (torch.Tensor, torch.nn.Parameter):
        with torch._C.DisableTorchFunctionSubclass():
            return encoder.peer.tensor_node(torch.Tensor.as_subclass(value, torch.Tensor), encoder)
    return encoder.peer.tensor_node(value, encoder)


def _write_range(_: Encoder, value: range) -> Any:
    return [Tag.RANGE, value.start, value.stop, value.step]


def _write_slice(encoder: Encoder, value: slice) -> Any:
    return [Tag.SLICE, encoder.encode(value.start), encoder.encode(value.stop), encoder.encode(value.step)]


def _write_other(encoder: Encoder, value: Any) -> Any:
    for applies, writer in KINDS:
        if applies(encoder.peer, type(value)):
            return writer(encoder, value)
    if not encoder.peer.keeps(value, encoder):
        for base, writer in BASES:
            if issubclass(type(value), base):
                return writer(encoder, value)
    return encoder.peer.export(value, encoder)


Writer = Callable[[Encoder, Any], Any]

WRITERS: dict[type, Writer] = {
    list: _write_list,
    tuple: _write_tuple,
    dict: _write_dict,
    set: _write_set,
    frozenset: _write_frozenset,
    bytearray: _write_bytearray,
    complex: lambda _, value: [Tag.COMPLEX, value.real, value.imag],
    range: _write_range,
    slice: _write_slice,
    type(Ellipsis): lambda _, __: [Tag.CONSTANT, 0],
    type(NotImplemented): lambda _, __: [Tag.CONSTANT, 1],
    np.ndarray: _write_array,
    torch.Tensor: _write_tensor,
    torch.dtype: lambda _, value: [Tag.TORCH_DTYPE, str(value).removeprefix("torch.")],
    torch.device: lambda _, value: [Tag.DEVICE, str(value)],
    torch.Size: lambda _, value: [Tag.SIZE, *tuple.__iter__(value)],
}

KINDS: list[tuple[Callable[["Peer", type], bool], Writer]] = []

BASES: list[tuple[type, Writer]] = [
    (torch.Tensor, _write_tensor),
    (np.ndarray, _write_array),
    (np.generic, _write_scalar),
    (np.dtype, lambda _, value: [Tag.NUMPY_DTYPE, arrays.dtype_node(value)]),
    (int, lambda encoder, value: encoder.encode(int.__index__(value))),
    (float, lambda _, value: float.__float__(value)),
    (complex, lambda _, value: [Tag.COMPLEX, complex.__complex__(value).real, complex.__complex__(value).imag]),
    (str, lambda encoder, value: encoder.text(str.__str__(value))),
    (bytes, lambda encoder, value: encoder.encode(bytes.__getitem__(value, slice(None)))),
    (bytearray, _write_bytearray),
    (list, _write_list),
    (tuple, _write_tuple),
    (dict, _write_dict),
    (set, _write_set),
    (frozenset, _write_frozenset),
]
