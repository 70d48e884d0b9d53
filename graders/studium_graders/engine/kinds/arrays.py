"""Arrays of NumPy's as dtype, shape and bytes; what is read is checked before anything is allocated."""

import math
import re
from typing import Any

import numpy as np

from studium_graders.engine.wire.channel import Buffer, ProtocolError
from studium_graders.engine.wire.codec import Decoder, Encoder, Kind, RefusedError

MOST_EMPTY = 1 << 16  # items of no bytes
_SIMPLE_DTYPE = re.compile(r"[<>|=]?(?:[?biufcSUV]\d{1,9}|[mM]8(?:\[\d{0,9}[A-Za-zμ]{1,7}\])?)")


def dtype_node(dtype: np.dtype[Any]) -> Any:
    """Return a NumPy dtype without objects as a string, or as fields with offsets."""
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        return [dtype_node(base), list(shape)]
    if dtype.names is None:
        return dtype.str
    fields = [[name, dtype_node(dtype.fields[name][0]), dtype.fields[name][1]] for name in dtype.names]  # type: ignore[index]
    return [fields, dtype.itemsize, dtype.isalignedstruct]


def dtype_of(node: Any) -> np.dtype[Any]:
    """Build the dtype of ``dtype_node``; raise ProtocolError for anything else."""
    if isinstance(node, str):
        if not _SIMPLE_DTYPE.fullmatch(node):
            raise ProtocolError("no dtype")
        return np.dtype(node)
    if len(node) == 2:
        return np.dtype((dtype_of(node[0]), tuple(sizes_of(node[1]))))
    fields, itemsize, aligned = node
    parts = {
        "names": [str(name) for name, _, _ in fields],
        "formats": [dtype_of(sub) for _, sub, _ in fields],
        "offsets": [int(offset) for _, _, offset in fields],
        "itemsize": int(itemsize),
    }
    return np.dtype(parts, align=aligned is True)  # type: ignore[call-overload,no-any-return]


def array_bytes(array: np.ndarray[Any, Any]) -> Buffer:
    """Return the contents of a plain array in C order."""
    if array.nbytes == 0:
        return b""
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def array_of(dtype: np.dtype[Any], shape: Any, data: Buffer) -> np.ndarray[Any, Any]:
    """Build a writable array; raise ProtocolError where the bytes do not fit the shape."""
    if dtype.hasobject:
        raise ProtocolError("an array of objects in bytes")
    sizes = sizes_of(shape)
    count = math.prod(sizes)
    if len(sizes) > 32 or count * dtype.itemsize != len(data) or (not dtype.itemsize and count > MOST_EMPTY):
        raise ProtocolError("an array whose bytes do not fit its shape")
    array: np.ndarray[Any, Any] = np.empty(sizes, dtype)
    if len(data):
        array.reshape(-1).view(np.uint8)[:] = np.frombuffer(data, np.uint8)
    return array


def sizes_of(shape: Any) -> list[int]:
    if not all(type(size) is int and 0 <= size < 2**48 for size in shape):
        raise ProtocolError("no shape")
    return list(shape)


def _write(encoder: Encoder, value: np.ndarray[Any, Any]) -> list[Any]:
    encoder.register(value)
    plain = np.ndarray.view(value, np.ndarray)
    if plain.dtype.hasobject:
        return [list(plain.shape), [encoder.encode(item) for item in plain.reshape(-1).tolist()]]
    by_columns = bool(plain.flags.fnc)
    return [list(plain.shape), dtype_node(plain.dtype), encoder.buffer(array_bytes(plain)), by_columns]


def _read(decoder: Decoder, node: list[Any]) -> Any:
    if len(node) == 2:
        return _read_objects(decoder, *node)
    shape, dtype, data, by_columns = node
    array = array_of(dtype_of(dtype), shape, decoder.buffer(data))
    return decoder.put(np.asfortranarray(array) if by_columns else array)


def _read_objects(decoder: Decoder, shape: list[int], nodes: list[Any]) -> Any:
    put = decoder.place()
    values = list(decoder.items(nodes))
    found = np.empty(len(values), object)
    for index, value in enumerate(values):
        found[index] = value
    return put(found.reshape(shape))


def _write_scalar(encoder: Encoder, value: np.generic) -> list[Any]:
    plain = np.asarray(value)
    return [dtype_node(plain.dtype), encoder.buffer(array_bytes(plain))]


def _read_scalar(decoder: Decoder, node: list[Any]) -> Any:
    return array_of(dtype_of(node[0]), [], decoder.buffer(node[1]))[()]


def _state(value: np.ndarray[Any, Any]) -> Any:
    if value.dtype.hasobject:
        return list(value.reshape(-1))
    return value.dtype, value.shape, bytes(array_bytes(value))


def _overwrite(value: np.ndarray[Any, Any], content: np.ndarray[Any, Any]) -> None:
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


KINDS = (
    Kind("array", (np.ndarray,), _write, _read, state=_state, overwrite=_overwrite),
    Kind("number", (np.generic,), _write_scalar, _read_scalar),
    Kind("dtype", (np.dtype,), lambda _, value: [dtype_node(value)], lambda _, node: dtype_of(node[0])),
)
