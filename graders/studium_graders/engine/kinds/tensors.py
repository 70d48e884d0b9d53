"""Tensors: dense, on the CPU, by their elements. What has a history comes with its number in the student's graph."""

import ctypes
import math
from typing import Any

import numpy as np
import torch
from torch import nn

from studium_graders.engine.kinds.arrays import sizes_of
from studium_graders.engine.kinds.plain import HELD, Facts, digest, integer
from studium_graders.engine.wire.channel import Buffer, ProtocolError
from studium_graders.engine.wire.codec import Decoder, Encoder, Kind, RefusedError, StaysError

CLASSES = (torch.Tensor, nn.Parameter)
_FLOATING = ("float64", "float32", "float16", "bfloat16", "complex64", "complex128")
DTYPES = {name: getattr(torch, name) for name in (*_FLOATING, "int64", "int32", "int16", "int8", "uint8", "bool")}
_NAMES = {dtype: name for name, dtype in DTYPES.items()}
_DEVICE = "cpu"


def is_dense(value: torch.Tensor) -> bool:
    """Return whether a tensor crosses by its elements."""
    return value.layout is torch.strided and value.device.type == _DEVICE and value.dtype in _NAMES


def tensor_bytes(value: torch.Tensor) -> Buffer:
    """Return the elements of a dense tensor in C order."""
    if not value.numel():
        return b""
    plain = value.detach().resolve_conj().resolve_neg().contiguous()
    return plain.as_strided((plain.numel(),), (1,)).view(torch.uint8).numpy().data


def dtype_name(value: torch.Tensor) -> str:
    """Return the name of a tensor's dtype."""
    return _NAMES[value.dtype]


def built(name: Any, shape: Any, data: Buffer) -> torch.Tensor:
    """Build a tensor; raise ProtocolError where the bytes do not fit its shape."""
    dtype, sizes = DTYPES.get(name), sizes_of(shape)
    if dtype is None or math.prod(sizes) * dtype.itemsize != len(data):
        raise ProtocolError("a tensor whose bytes do not fit its shape")
    tensor = torch.empty(sizes, dtype=dtype, device=_DEVICE, requires_grad=False)
    if len(data):
        tensor.reshape(-1).view(torch.uint8).numpy()[:] = np.frombuffer(data, np.uint8)
        if dtype is torch.bool:
            tensor.copy_(tensor.view(torch.uint8) != 0)  # a bool of another byte is undefined
    return tensor


def _write(encoder: Encoder, value: torch.Tensor) -> list[Any]:
    if not is_dense(value):
        raise StaysError
    parts = [dtype_name(value), list(value.shape), encoder.buffer(tensor_bytes(value)), type(value) is nn.Parameter]
    if encoder.is_change:
        return ["held", *parts, value.requires_grad, _grad(encoder, value) if value.is_leaf else None]
    if not value.requires_grad:
        return ["data", *parts]
    if not value.is_leaf or not encoder.giving.has_made(value):
        return ["output", *parts, encoder.enter(value)]
    return ["leaf", *parts, encoder.enter(value), _grad(encoder, value)]


def _grad(encoder: Encoder, value: torch.Tensor) -> Any:
    grad = value.grad
    return None if grad is None or not is_dense(grad) else encoder.part(grad.detach())


def _read(decoder: Decoder, parts: list[Any]) -> Any:
    how, name, shape, index, parameter, *rest = parts
    data = built(name, shape, decoder.buffer(index))
    if how == "data" and not rest:
        return nn.Parameter(data, requires_grad=False) if parameter is True else data
    if how == "held" and decoder.is_change:
        return _held(decoder, data, *rest)
    if name not in _FLOATING:
        raise ProtocolError("a tensor that cannot have a gradient")
    if how == "output":
        (number,) = map(integer, rest)
        found = decoder.taking.output(number, data)
    elif how != "leaf":
        raise ProtocolError("no tensor")
    else:
        number, grad = rest
        made = nn.Parameter(data) if parameter is True else data.requires_grad_()
        found = decoder.taking.leaf(integer(number), made)
        take_grad(found, decoder.part(grad))
    decoder.graph[number] = found
    return found


def _held(decoder: Decoder, data: torch.Tensor, requires_grad: Any, grad: Any) -> torch.Tensor:
    take_grad(data.requires_grad_(requires_grad is True), decoder.part(grad))
    return data


def take_grad(value: torch.Tensor, grad: Any) -> None:
    """Let a tensor have this gradient."""
    if grad is None:
        value.grad = None
    elif type(grad) is not torch.Tensor or grad.shape != value.shape or grad.dtype != value.dtype or grad.requires_grad:
        raise ProtocolError("a gradient that does not fit its tensor")
    elif value.grad is not None and value.grad.shape == grad.shape and not value.grad.requires_grad:
        value.grad.copy_(grad)
    else:
        value.grad = grad


def content(value: torch.Tensor) -> Any:
    """Return what tells whether a tensor has changed: no version counter does, for ``.data`` moves none."""
    if not is_dense(value):
        return None
    grad = value.grad if value.is_leaf else None
    held = None if grad is None else content(grad)
    return Facts((value.dtype, value.shape, value.requires_grad, _digest(value), held))


def _digest(value: torch.Tensor) -> bytes:
    """Return what tells whether elements have changed; those of a small tensor come from memory in a microsecond."""
    size = value.nbytes
    if size <= HELD and value.is_contiguous() and not (value.is_conj() or value.is_neg()):
        return ctypes.string_at(value.data_ptr(), size) if size else b""
    return digest(tensor_bytes(value))


def overwrite(value: torch.Tensor, other: torch.Tensor) -> None:
    """Give a tensor the elements and the gradient of another."""
    with torch.no_grad():
        if value.shape != other.shape or value.dtype != other.dtype:
            value.data = other.detach().clone()
        elif bytes(tensor_bytes(value)) != bytes(tensor_bytes(other)):
            value.copy_(other.detach())
    if value.is_leaf:
        if value.requires_grad != other.requires_grad:
            value.requires_grad_(other.requires_grad)
        grad = other.grad if other.is_leaf else None
        take_grad(value, None if grad is None else grad.detach().clone())


def _read_dtype(_: Decoder, parts: list[Any]) -> torch.dtype:
    (name,) = parts
    found: torch.dtype = DTYPES[name]
    return found


def _write_dtype(_: Encoder, value: torch.dtype) -> list[Any]:
    if value not in _NAMES:
        raise StaysError
    return [_NAMES[value]]


def _write_device(_: Encoder, value: torch.device) -> list[Any]:
    if value.type != _DEVICE:
        raise StaysError
    return []


def _overwrite(value: torch.Tensor, other: Any) -> None:
    if type(other) not in CLASSES:
        raise RefusedError("a tensor of the test's became something else, which the judge cannot take over")
    overwrite(value, other)


KINDS = (
    Kind("tensor", CLASSES, _write, _read, content=content, overwrite=_overwrite),
    Kind("dtype", (torch.dtype,), _write_dtype, _read_dtype),
    Kind("size", (torch.Size,), lambda _, value: [*value], lambda _, parts: torch.Size(sizes_of(parts))),
    Kind("device", (torch.device,), _write_device, lambda _, parts: torch.device(_DEVICE, *parts[:0])),
)
