"""Texts and bytes in memory that are read and written as files: plain data, with the place that has been reached.

One of which nothing is left to read has an unknown character where the reference gives none such.
"""

import io
from typing import Any

from studium_graders.engine.remote.decode import READERS, Decoder
from studium_graders.engine.remote.encode import WRITERS, Encoder
from studium_graders.engine.remote.tags import Tag
from studium_graders.engine.remote.wire import ProtocolError

_KINDS: dict[str, tuple[type[Any], type[str] | type[bytes]]] = {
    "StringIO": (io.StringIO, str),
    "BytesIO": (io.BytesIO, bytes),
}


def is_stream(cls: type) -> bool:
    """Tell whether the instances of a class are text or bytes in memory."""
    return cls is io.StringIO or cls is io.BytesIO


def state(value: Any) -> str:
    """Give what a stream is, to be compared later."""
    return "closed" if value.closed else repr(value.__getstate__()[:-1])


def overwrite(value: Any, content: Any) -> None:
    """Let a stream be what another one is."""
    if content.closed:
        value.close()
    else:
        value.__setstate__((*content.__getstate__()[:-1], None))


def _write(encoder: Encoder, value: Any) -> Any:
    encoder.register(value)
    parts = () if value.closed else value.__getstate__()[:-1]
    return [Tag.STREAM, type(value).__name__, *[encoder.encode(part) for part in parts]]


def _read(decoder: Decoder, node: list[Any]) -> Any:
    cls, of = _KINDS[node[1]]
    value = decoder.put(cls())
    if not node[2:]:
        value.close()
        return value
    held, *rest = [decoder.decode(part) for part in node[2:]]
    if type(held) is not of or type(rest[-1]) is not int:
        raise ProtocolError("no stream")
    place = min(rest[-1], len(held))
    if place == len(held) and not decoder.changing and decoder.peer.no_items(decoder.origin):
        held, place = "\0" if of is str else b"\0", 0
    value.__setstate__((held, *rest[:-1], place, None))
    return value


WRITERS |= dict.fromkeys((io.StringIO, io.BytesIO), _write)
READERS[Tag.STREAM] = _read
