"""Data of pandas' on the wire: plain data, of which frames and series may be changed in place."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from studium_graders.engine.remote.decode import READERS, Decoder
from studium_graders.engine.remote.encode import KINDS, Encoder
from studium_graders.engine.remote.frame_parts import UnknownPartError, build, kind_of, take_apart
from studium_graders.engine.remote.tags import Tag


def is_mutable(cls: type) -> bool:
    """Tell whether the instances of a class are frames or series, which code may change in place."""
    return kind_of(cls) in ("frame", "series")


def flat(value: Any) -> Iterator[Any]:
    """Give what a value holds, item by item, to be compared later."""
    kind = kind_of(type(value))
    if kind == "strings":
        yield repr(take_apart(value))
    elif kind or isinstance(value, list | tuple):
        parts = _known_parts(value) if kind else value
        yield from (kind, len(parts))
        for part in parts:
            yield from flat(part)
    elif isinstance(value, np.ndarray):
        yield from (value.dtype.str, len(value))
        yield from _cells(value.tolist()) if value.dtype.hasobject else [value.tobytes()]
    else:
        yield value


def _cells(values: list[Any]) -> Iterator[Any]:
    """Give objects, and what is directly in those that code may change in place."""
    for value in values:
        yield value
        if type(value) in (list, set):
            yield from value
        elif type(value) is dict:
            yield from (part for item in value.items() for part in item)
        elif type(value) is np.ndarray and not value.dtype.hasobject:
            yield value.tobytes()


def _known_parts(value: Any) -> list[Any]:
    """Take a value apart; of one that cannot be, nothing is known."""
    try:
        return take_apart(value)
    except UnknownPartError:
        return []


def overwrite(value: Any, content: Any) -> None:
    """Give a frame or series the contents of another, in place."""
    value.__setstate__(content.__getstate__())


def _write(encoder: Encoder, value: Any) -> Any:
    """Give the node of a value, or that of an object which stays where a part of it is of an unknown kind."""
    if encoder.in_frame:
        return _node(encoder, value)
    encoder.in_frame = True
    try:
        with encoder.peer.all_or_nothing(encoder):
            return _node(encoder, value)
    except UnknownPartError:
        if encoder.peer.known(value, encoder):
            raise TypeError(f"what was put into this {type(value).__name__} cannot be sent back") from None
        return encoder.peer.export(value, encoder)
    finally:
        encoder.in_frame = False


def _node(encoder: Encoder, value: Any) -> Any:
    parts = take_apart(value)
    encoder.register(value)
    return [Tag.FRAME, kind_of(type(value)), *[encoder.apart(part) for part in parts]]


def _read(decoder: Decoder, node: list[Any]) -> Any:
    put = decoder.place()
    with decoder.inside():
        parts = [decoder.apart(part) for part in node[2:]]
    value = build(node[1], parts)
    return put(decoder.received(value) if hasattr(value, "size") else decoder.missing(value))


KINDS.append((lambda _, cls: bool(kind_of(cls)), _write))
READERS[Tag.FRAME] = _read
