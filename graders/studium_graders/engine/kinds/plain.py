"""Plain values: what msgpack cannot say of numbers, strings and bytes."""

import hashlib
from typing import Any

from studium_graders.engine.wire.channel import Buffer, ProtocolError
from studium_graders.engine.wire.codec import Decoder, Encoder, Kind, StaysError

MOST_DIGITS = 4300
MOST_BITS = 14_000  # of an integer: about as many digits
LONGEST_RANGE = 10_000_000
INLINE = 1 << 12
HELD = 1 << 20  # bytes that are kept to see a change; of more, a digest is

PLAIN = frozenset({type(None), bool, int, float, complex, str, bytes})


def integer(value: Any) -> int:
    """Return an integer of a message, of which a bool is none."""
    if type(value) is int:
        return value
    raise ProtocolError("no integer")


def text(value: Any, most: int) -> str:
    """Return a string of a message that is no longer than this."""
    if type(value) is str and len(value) <= most:
        return value
    raise ProtocolError("no text")


def _write_integer(_: Encoder, value: int) -> list[Any]:
    if value.bit_length() > MOST_BITS:
        raise StaysError
    return [hex(value)]


def _read_integer(_: Decoder, parts: list[Any]) -> int:
    (digits,) = parts
    return int(text(digits, MOST_BITS // 4 + 3), 16)


def _read_complex(_: Decoder, parts: list[Any]) -> complex:
    real, imaginary = parts
    if type(real) is not float or type(imaginary) is not float:
        raise ProtocolError("no complex number")
    return complex(real, imaginary)


def _read_text(_: Decoder, parts: list[Any]) -> str:
    (data,) = parts
    if type(data) is not bytes:
        raise ProtocolError("no text")
    return data.decode("utf-8", "surrogatepass")


class Facts(tuple[Any, ...]):
    """A content of plain values alone: it is the same where it is equal."""


def digest(data: Buffer) -> bytes:
    """Return what tells whether data have changed."""
    return bytes(data) if len(data) <= HELD else hashlib.blake2b(data).digest()


def _write_bytes(encoder: Encoder, value: bytes) -> list[Any]:
    return [value if len(value) <= INLINE else encoder.buffer(value)]


def bytes_of(decoder: Decoder, part: Any) -> bytes:
    """Return bytes that are in the node or in a buffer."""
    return part if type(part) is bytes else bytes(decoder.buffer(part))


def _read_bytes(decoder: Decoder, parts: list[Any]) -> bytes:
    (part,) = parts
    return bytes_of(decoder, part)


def _read_range(_: Decoder, parts: list[Any]) -> range:
    start, stop, step = map(integer, parts)
    found = range(start, stop, step)
    if found and (found[-1] - found[0]) // step >= LONGEST_RANGE:
        raise ProtocolError("a range that is too long")
    return found


def _read_slice(_: Decoder, parts: list[Any]) -> slice:
    start, stop, step = parts
    if not all(part is None or type(part) is int for part in parts):
        raise ProtocolError("no slice")
    return slice(start, stop, step)


KINDS = (
    Kind("integer", (int,), _write_integer, _read_integer),
    Kind("complex", (complex,), lambda _, value: [value.real, value.imag], _read_complex),
    Kind("text", (str,), lambda _, value: [value.encode("utf-8", "surrogatepass")], _read_text),
    Kind("bytes", (bytes,), _write_bytes, _read_bytes),
    Kind("range", (range,), lambda _, value: [value.start, value.stop, value.step], _read_range),
    Kind("slice", (slice,), lambda _, value: [value.start, value.stop, value.step], _read_slice),
)
