"""Arrays and tensors as dtype, shape and bytes; what is read is checked before anything is allocated."""

import math
import re
from typing import Any

import numpy as np
import torch

from studium_graders.engine.remote.strides import laid_out, read_shape
from studium_graders.engine.remote.wire import Buffer, ProtocolError, TooLargeError

TORCH_DTYPES = {
    str(value).removeprefix("torch."): value
    for name in dir(torch)
    if isinstance(value := getattr(torch, name), torch.dtype) and not name.startswith(("q", "bits"))
}
MOST_EMPTY = 1 << 16  # items of no bytes
_SIMPLE_DTYPE = re.compile(r"[<>|=]?(?:[?biufcSUV]\d{1,9}|[mM]8(?:\[\d{0,9}[A-Za-zμ]{1,7}\])?)")


def dtype_node(dtype: np.dtype[Any]) -> Any:
    """Give a NumPy dtype without objects as a string, or as fields with offsets."""
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
        return np.dtype((dtype_of(node[0]), tuple(_sizes(node[1]))))
    fields, itemsize, aligned = node
    parts = {
        "names": [str(name) for name, _, _ in fields],
        "formats": [dtype_of(sub) for _, sub, _ in fields],
        "offsets": [int(offset) for _, _, offset in fields],
        "itemsize": int(itemsize),
    }
    return np.dtype(parts, align=aligned is True)  # type: ignore[call-overload,no-any-return]


def array_bytes(array: np.ndarray[Any, Any]) -> Buffer:
    """Give the contents of a plain array in C order."""
    if array.nbytes == 0:
        return b""
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def array_of(dtype: np.dtype[Any], shape: Any, data: Buffer) -> np.ndarray[Any, Any]:
    """Build a writable array; raise ProtocolError where the bytes do not fit the shape."""
    if dtype.hasobject:
        raise ProtocolError("an array of objects in bytes")
    sizes = _sizes(shape)
    count = math.prod(sizes)
    if len(sizes) > 32 or count * dtype.itemsize != len(data) or (not dtype.itemsize and count > MOST_EMPTY):
        raise ProtocolError("an array whose bytes do not fit its shape")
    array: np.ndarray[Any, Any] = np.empty(sizes, dtype)
    if len(data):
        array.reshape(-1).view(np.uint8)[:] = np.frombuffer(data, np.uint8)
    return array


def tensor_bytes(tensor: torch.Tensor, most: int) -> Buffer:
    """Give the contents of a dense tensor in C order. Raises TooLargeError over ``most`` bytes."""
    size = tensor.numel() * tensor.element_size()
    if size > most:
        raise TooLargeError(f"a tensor of {size / 2**20:.1f} MB is too large to be sent")
    if size == 0:
        return b""
    plain = torch.Tensor.detach(tensor).resolve_conj().resolve_neg().cpu().contiguous()
    flat = plain.as_strided((plain.numel(),), (1,))  # one element of any stride counts as contiguous
    return flat.view(torch.uint8).numpy().data


def tensor_of(name: Any, shape: Any, data: Buffer) -> torch.Tensor:
    """Build a dense tensor on the CPU; raise ProtocolError where the bytes do not fit."""
    found, strides = read_shape(shape)
    dtype, sizes = TORCH_DTYPES.get(name), _sizes(found)
    if dtype is None or len(sizes) > 64 or math.prod(sizes) * dtype.itemsize != len(data):
        raise ProtocolError("a tensor whose bytes do not fit its shape")
    tensor = torch.empty(sizes, dtype=dtype, requires_grad=False)
    if len(data):
        tensor.reshape(-1).view(torch.uint8).numpy()[:] = np.frombuffer(data, np.uint8)
    return tensor if strides is None else laid_out(tensor, strides)


def _sizes(shape: Any) -> list[int]:
    if not all(type(size) is int and 0 <= size < 2**48 for size in shape):
        raise ProtocolError("no shape")
    return list(shape)
