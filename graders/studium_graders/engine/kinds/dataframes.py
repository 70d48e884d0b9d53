"""Data of pandas': plain data, of which frames and series may be changed in place.

The arrays that they are made of cross with them and not alone: to Python each array of pandas' is true, whatever its
comparison with something says.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from studium_graders.engine.kinds.dataframe_parts import ARRAYS, UnknownPartError, build, kind_of, take_apart
from studium_graders.engine.wire.channel import ProtocolError
from studium_graders.engine.wire.codec import Context, Decoder, Encoder, Kind
from studium_graders.engine.wire.messages import Node

_ARRAY = "pandas array"


def _is_mutable(cls: type, _: Context) -> bool:
    return kind_of(cls) in ("frame", "series")


def _is_data(cls: type, _: Context) -> bool:
    return bool(kind_of(cls)) and kind_of(cls) not in ARRAYS


def _state(value: Any) -> tuple[Any, ...]:
    return tuple(_flat(value))


def _flat(value: Any) -> Iterator[Any]:
    """Yield what a value holds, item by item, to be compared later."""
    kind = kind_of(type(value))
    if kind == "strings":
        yield repr(take_apart(value))
    elif kind or isinstance(value, list | tuple):
        parts = _known_parts(value) if kind else value
        yield from (kind, len(parts))
        for part in parts:
            yield from _flat(part)
    elif isinstance(value, np.ndarray):
        yield from (value.dtype.str, len(value))
        yield from map(_cell, value.tolist()) if value.dtype.hasobject else [value.tobytes()]
    else:
        yield _cell(value)


def _cell(value: Any) -> Any:
    """Return an object as something that can be compared."""
    plain = isinstance(value, str | bytes | int | float | complex | None)
    return repr(value) if plain or type(value) in (list, set, dict, tuple) else id(value)


def _known_parts(value: Any) -> list[Any]:
    """Take a value apart; of one that cannot be, nothing is known."""
    try:
        return take_apart(value)
    except UnknownPartError:
        return []


def _overwrite(value: Any, content: Any) -> None:
    value.__setstate__(content.__getstate__())


def _write(encoder: Encoder, value: Any) -> list[Any]:
    parts = take_apart(value)
    encoder.register(value)
    return [kind_of(type(value)), *[_part_node(encoder, part) for part in parts]]


def _part_node(encoder: Encoder, part: Any) -> Node:
    if type(part) is list:
        return ["parts", *[_part_node(encoder, item) for item in part]]
    kind = kind_of(type(part))
    if kind in ARRAYS:
        return [_ARRAY, kind, *[_part_node(encoder, item) for item in take_apart(part)]]
    return encoder.content(part) if kind else encoder.encode(part)  # an index may have another name than it came with


def _read(decoder: Decoder, node: list[Any]) -> Any:
    put = decoder.place()
    if node[0] in ARRAYS:
        raise ProtocolError("an array of pandas' that stands alone")
    return put(build(node[0], [_read_part(decoder, part) for part in node[1:]]))


def _read_part(decoder: Decoder, node: Node) -> Any:
    if type(node) is not list or not node or node[0] not in ("parts", _ARRAY):
        return decoder.decode(node)
    if node[0] == "parts":
        return [_read_part(decoder, part) for part in node[1:]]
    return build(node[1], [_read_part(decoder, part) for part in node[2:]])


KINDS = (
    Kind("dataframe", (), _write, _read, _is_mutable, state=_state, overwrite=_overwrite),
    Kind("pandas", (), _write, _read, _is_data),
)
