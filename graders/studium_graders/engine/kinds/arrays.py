"""Arrays and scalars of NumPy's as dtype, shape and bytes: no objects, and all is checked before it is built."""

import math
import re
from typing import Any

import numpy as np

from studium_graders.engine.kinds.plain import digest
from studium_graders.engine.wire.channel import Buffer, ProtocolError
from studium_graders.engine.wire.codec import Decoder, Encoder, Kind, RefusedError, StaysError

MOST_ITEMS = 1 << 40  # counting each empty axis as one item: what tests compute of a shape must fit into memory
_DTYPE = re.compile(r"[<>|=]?(?:b1|[iufcSU]\d{1,9}|[mM]8(?:\[\d{0,9}[A-Za-zμ]{1,7}\])?)")


def sizes_of(shape: Any) -> list[int]:
    """Return a shape; raise ProtocolError where it is none."""
    if type(shape) is not list or not all(type(size) is int and 0 <= size < MOST_ITEMS for size in shape):
        raise ProtocolError("no shape")
    if len(shape) > 32 or math.prod(size or 1 for size in shape) > MOST_ITEMS:
        raise ProtocolError("a shape that is too large")
    return shape


def array_of(dtype: Any, shape: Any, data: Buffer) -> np.ndarray[Any, Any]:
    """Build a writable array; raise ProtocolError where the bytes do not fit the shape."""
    if type(dtype) is not str or not _DTYPE.fullmatch(dtype):
        raise ProtocolError("no dtype")
    found, sizes = np.dtype(dtype), sizes_of(shape)
    if not found.itemsize or math.prod(sizes) * found.itemsize != len(data):
        raise ProtocolError("an array whose bytes do not fit its shape")
    array: np.ndarray[Any, Any] = np.empty(sizes, found)
    if len(data):
        array.reshape(-1).view(np.uint8)[:] = np.frombuffer(data, np.uint8)
    return array


def array_bytes(array: np.ndarray[Any, Any]) -> Buffer:
    """Return the contents of a plain array in C order."""
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data if array.nbytes else b""


def _is_sent(dtype: np.dtype[Any]) -> bool:
    return bool(_DTYPE.fullmatch(dtype.str)) and dtype.itemsize > 0


def _write(encoder: Encoder, value: Any) -> list[Any]:
    plain = np.asarray(value)
    if not _is_sent(plain.dtype):
        raise StaysError
    return [plain.dtype.str, list(plain.shape), encoder.buffer(array_bytes(plain))]


def _read(decoder: Decoder, parts: list[Any]) -> Any:
    dtype, shape, index = parts
    return array_of(dtype, shape, decoder.buffer(index))


def _content(value: np.ndarray[Any, Any]) -> Any:
    held = value.tolist() if value.dtype.hasobject else digest(array_bytes(value))
    return value.dtype.str, value.shape, held


def _overwrite(value: np.ndarray[Any, Any], content: np.ndarray[Any, Any]) -> None:
    if value.dtype != content.dtype or value.shape != content.shape:
        raise RefusedError("an array of the test's got another shape or dtype, which the judge cannot take over")
    value[...] = content


def _read_dtype(_: Decoder, parts: list[Any]) -> Any:
    (said,) = parts
    if type(said) is not str or not _DTYPE.fullmatch(said):
        raise ProtocolError("no dtype")
    return np.dtype(said)


KINDS = (
    Kind("array", (np.ndarray,), _write, _read, content=_content, overwrite=_overwrite),
    Kind(
        "scalar",
        (),
        _write,
        lambda decoder, parts: _read(decoder, parts)[()],
        applies=lambda cls, _: issubclass(cls, np.generic) and cls.__module__ == "numpy",
    ),
    Kind(
        "array dtype",
        (),
        lambda _, value: [value.str],
        _read_dtype,
        applies=lambda cls, _: issubclass(cls, np.dtype) and cls.__module__ == "numpy.dtypes",
    ),
)
