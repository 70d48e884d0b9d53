"""Python's own numbers and texts beyond what a message holds as it is, and its containers."""

import array
from collections.abc import Callable, Iterator
from typing import Any

from studium_graders.engine.wire.channel import ProtocolError, TooLargeError
from studium_graders.engine.wire.codec import Decoder, Encoder, Kind

_PACKED_FROM = 32  # items; shorter lists are faster one by one
_MOST_ITEMS = 1 << 22  # in a list
_CODES = {float: "d", int: "q"}


def pairs(encoder: Encoder, value: dict[Any, Any]) -> list[Any]:
    """Return keys and values of a mapping, one after the other."""
    return [encoder.encode(part) for item in list(dict.items(value)) for part in item]


def fill(decoder: Decoder, mapping: Any, nodes: list[Any]) -> Any:
    """Put keys and values, one after the other, into a mapping."""
    if len(nodes) % 2:
        raise ProtocolError("a key without its value")
    parts = decoder.items(nodes)
    for key in parts:
        mapping[key] = next(parts)
    return mapping


def items_of(value: Any) -> list[Any]:
    """Return the items of a container, which count by identity."""
    return list(value)


def parts_of(value: Any) -> list[Any]:
    """Return the keys and values of a mapping."""
    return [part for item in dict.items(value) for part in item]


def refill(value: Any, content: Any) -> None:
    """Overwrite a set, a mapping or the like with the contents of another."""
    value.clear()
    value.update(content)


def _write_list(encoder: Encoder, value: list[Any]) -> list[Any]:
    encoder.register(value)
    items = list(list.__iter__(value))
    if len(items) > _MOST_ITEMS:
        raise TooLargeError(f"a list of more than {_MOST_ITEMS} items is too large to be sent")
    kinds = set(map(type, items)) if len(items) >= _PACKED_FROM else set[type]()
    if len(kinds) == 1 and (code := _CODES.get(next(iter(kinds)))) and _are_small(items, code):
        return [code, encoder.buffer(array.array(code, items).tobytes())]
    return [None, *map(encoder.encode, items)]


def _are_small(items: list[Any], code: str) -> bool:
    return code == "d" or -(2**63) <= min(items) <= max(items) < 2**63


def _read_list(decoder: Decoder, node: list[Any]) -> Any:
    code, *nodes = node
    if code is None:
        value: list[Any] = decoder.put([])
        value.extend(decoder.items(nodes))  # one by one: an item may be the list itself
        return value
    data = decoder.buffer(nodes[0])
    if code not in _CODES.values() or len(data) > 8 * _MOST_ITEMS:
        raise ProtocolError("a list that is too long")
    numbers = array.array(code)
    numbers.frombytes(data)
    return decoder.put(numbers.tolist())


def _items(iterate: Callable[[Any], Iterator[Any]]) -> Callable[[Encoder, Any], list[Any]]:
    def write(encoder: Encoder, value: Any) -> list[Any]:
        encoder.register(value)
        return [encoder.encode(item) for item in iterate(value)]

    return write


def _read_tuple(decoder: Decoder, node: list[Any]) -> Any:
    put = decoder.place()
    return put(tuple(decoder.items(node)))


def _write_dict(encoder: Encoder, value: dict[Any, Any]) -> list[Any]:
    encoder.register(value)
    return pairs(encoder, value)


def _read_set(decoder: Decoder, node: list[Any]) -> Any:
    value: set[Any] = decoder.put(set())
    value.update(decoder.items(node))
    return value


def _read_frozenset(decoder: Decoder, node: list[Any]) -> Any:
    put = decoder.place()
    return put(frozenset(decoder.items(node)))


def _write_bytes(encoder: Encoder, value: bytes | bytearray) -> list[Any]:
    if isinstance(value, bytearray):
        encoder.register(value)
    return [encoder.buffer(bytes(value))]


def _write_slice(encoder: Encoder, value: slice) -> list[Any]:
    return [encoder.encode(value.start), encoder.encode(value.stop), encoder.encode(value.step)]


def _overwrite_all(value: Any, content: Any) -> None:
    value[:] = content


_CONSTANTS = (Ellipsis, NotImplemented)

KINDS = (
    Kind("text", read=lambda _, node: node[0].decode("utf-8", "surrogatepass")),
    Kind("int", (int,), lambda _, value: [f"{value:x}"], lambda _, node: int(node[0], 16), exact=True),
    Kind("bytes", (bytes,), _write_bytes, lambda decoder, node: bytes(decoder.buffer(node[0])), exact=True),
    Kind(
        "complex",
        (complex,),
        lambda _, value: [complex.__complex__(value).real, complex.__complex__(value).imag],
        lambda _, node: complex(node[0], node[1]),
    ),
    Kind("list", (list,), _write_list, _read_list, state=items_of, overwrite=_overwrite_all),
    Kind("tuple", (tuple,), _items(tuple.__iter__), _read_tuple),
    Kind(
        "dict",
        (dict,),
        _write_dict,
        lambda decoder, node: fill(decoder, decoder.put({}), node),
        state=parts_of,
        overwrite=refill,
    ),
    Kind("set", (set,), _items(set.__iter__), _read_set, state=items_of, overwrite=refill),
    Kind("frozenset", (frozenset,), _items(frozenset.__iter__), _read_frozenset),
    Kind(
        "bytearray",
        (bytearray,),
        _write_bytes,
        lambda decoder, node: decoder.put(bytearray(decoder.buffer(node[0]))),
        state=bytes,
        overwrite=_overwrite_all,
    ),
    Kind("range", (range,), lambda _, value: [value.start, value.stop, value.step], lambda _, node: range(*node)),
    Kind("slice", (slice,), _write_slice, lambda decoder, node: slice(*decoder.items(node))),
    Kind(
        "constant",
        tuple(map(type, _CONSTANTS)),
        lambda _, value: [_CONSTANTS.index(value)],
        lambda _, node: _CONSTANTS[node[0]],
    ),
)
