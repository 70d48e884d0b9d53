"""Tensors: one without a history crosses by copy, a leaf exists on both sides, others go with their graph."""

import math
import weakref
from typing import Any

import numpy as np
import torch
from torch import nn

from studium_graders.engine.kinds.arrays import sizes_of
from studium_graders.engine.wire.channel import Buffer, ProtocolError, TooLargeError
from studium_graders.engine.wire.codec import Context, Decoder, Encoder, Kind
from studium_graders.engine.wire.messages import Node

DTYPES = {
    str(value).removeprefix("torch."): value
    for name in dir(torch)
    if isinstance(value := getattr(torch, name), torch.dtype) and not name.startswith(("q", "bits"))
}
OUTPUTS = "outputs"
_MOST_ENTERED = 10_000


def tensor_bytes(tensor: torch.Tensor, most: int) -> Buffer:
    """Return the contents of a dense tensor in C order. Raise TooLargeError over ``most`` bytes."""
    size = tensor.numel() * tensor.element_size()
    if size > most:
        raise TooLargeError(f"a tensor of {size / 2**20:.1f} MB is too large to be sent")
    if size == 0:
        return b""
    plain = torch.Tensor.detach(tensor).resolve_conj().resolve_neg().cpu().contiguous()
    flat = plain.as_strided((plain.numel(),), (1,))  # one element of any stride counts as contiguous
    return flat.view(torch.uint8).numpy().data


def contents(value: torch.Tensor, encoder: Encoder) -> list[Any]:
    """Return dtype, shape and bytes of a dense tensor."""
    if value.is_quantized:
        raise TypeError("a quantized tensor cannot be sent; give its int_repr() or dequantize() it")
    data = tensor_bytes(value, encoder.context.limits.message_mb << 20)
    return [str(value.dtype).removeprefix("torch."), list(value.shape), encoder.buffer(data)]


def tensor_of(node: Node, decoder: Decoder) -> torch.Tensor:
    """Build a dense tensor on the CPU; raise ProtocolError where the bytes do not fit its shape."""
    name, shape, index = node
    data, dtype, sizes = decoder.buffer(index), DTYPES.get(name), sizes_of(shape)
    if dtype is None or len(sizes) > 64 or math.prod(sizes) * dtype.itemsize != len(data):
        raise ProtocolError("a tensor whose bytes do not fit its shape")
    tensor = torch.empty(sizes, dtype=dtype, requires_grad=False)
    if len(data):
        tensor.reshape(-1).view(torch.uint8).numpy()[:] = np.frombuffer(data, np.uint8)
    return tensor


def overwrite_tensor(value: torch.Tensor, content: torch.Tensor) -> None:
    """Overwrite a tensor with the contents of another, in place where the shapes are equal."""
    with torch.no_grad():
        if value.shape == content.shape and value.dtype == content.dtype:
            value.copy_(content)
        else:
            value.data = content.detach()


class Entries:
    """Tensors with a history, for which leaves stand on the other side while a graph may need them."""

    def __init__(self) -> None:
        self._sent: weakref.WeakValueDictionary[int, torch.Tensor] = weakref.WeakValueDictionary()
        self._entered: dict[int, tuple[weakref.ref[torch.Tensor], int]] = {}
        self._count = 0

    def send(self, value: torch.Tensor) -> int:
        """Number a tensor that is sent."""
        self._count += 1
        self._sent[self._count] = value
        return self._count

    def sent(self, number: Any) -> torch.Tensor | None:
        """Return a tensor that was sent, None where it is not here any more."""
        return self._sent.get(number)

    def enter(self, leaf: torch.Tensor, number: int) -> None:
        """Remember for which tensor of the other side a leaf stands."""
        if len(self._entered) > _MOST_ENTERED:
            self._entered = {key: item for key, item in self._entered.items() if item[0]() is not None}
        self._entered[id(leaf)] = weakref.ref(leaf), number

    def number_of(self, leaf: torch.Tensor) -> int | None:
        """Return the number of the other side's tensor for which a leaf stands."""
        reference, number = self._entered.get(id(leaf), (None, 0))
        return number if reference is not None and reference() is leaf else None


def _node(encoder: Encoder, value: torch.Tensor) -> list[Any]:
    context = encoder.context
    if value.is_leaf and (value.requires_grad or isinstance(value, nn.Parameter)):
        found: list[Any] = context.tensors.enrol(value, encoder)
        return found
    encoder.register(value)
    if not value.requires_grad:
        if value.layout is not torch.strided:
            raise TooLargeError(f"a tensor of layout {value.layout} cannot be sent; make it dense with to_dense()")
        return ["plain", *contents(value, encoder)]
    if encoder.reply:
        encoder.collect(OUTPUTS, value)
        return ["output", len(encoder.collected[OUTPUTS]) - 1]
    return ["entry", context.tensors.entries.send(value), *contents(value, encoder)]


def _write(encoder: Encoder, value: torch.Tensor) -> list[Any]:
    if type(value) in (torch.Tensor, nn.Parameter):
        return _node(encoder, value)
    with torch._C.DisableTorchFunctionSubclass():  # what a subclass overrides is not asked
        return _node(encoder, torch.Tensor.as_subclass(value, torch.Tensor))


def _read(decoder: Decoder, node: list[Any]) -> Any:
    how, *rest = node
    context = decoder.context
    if how == "leaf":
        return context.tensors.find(*rest)
    if how == "plain":
        return decoder.put(tensor_of(rest, decoder))
    if how == "output" and type(rest[0]) is int and 0 <= rest[0] < len(decoder.outputs):
        return decoder.put(decoder.outputs[rest[0]])
    if how != "entry" or type(rest[0]) is not int:
        raise ProtocolError("no tensor")
    leaf = decoder.put(tensor_of(rest[1:], decoder).requires_grad_())
    context.tensors.entries.enter(leaf, rest[0])
    return leaf


def leaf_node(leaf: torch.Tensor, encoder: Encoder) -> Node:
    """Return the node of a tensor at which the history of an output begins; None for one that the judge keeps."""
    context = encoder.context
    if (reference := context.objects.references.get(id(leaf))) is not None:
        return reference[1:]
    if (number := context.tensors.entries.number_of(leaf)) is not None:
        return number
    return context.tensors.enrol(leaf, encoder)[1:] if context.trusting else None


def leaf_of(node: Node, context: Context) -> torch.Tensor | None:
    """Return the tensor of ``leaf_node``; None where it is not here."""
    if node is None or type(node) is int:
        sent: torch.Tensor | None = context.tensors.entries.sent(node)
        return sent
    found: torch.Tensor = context.tensors.find(*node[-2:])
    return found


def _state(value: torch.Tensor) -> Any:
    if value.layout is not torch.strided:
        return None
    return str(value.dtype), tuple(value.shape), bytes(tensor_bytes(value, 1 << 62))


KINDS = (
    Kind("tensor", (torch.Tensor, nn.Parameter), _write, _read, state=_state, overwrite=overwrite_tensor),
    Kind(
        "torch dtype",
        (torch.dtype,),
        lambda _, value: [str(value).removeprefix("torch.")],
        lambda _, node: DTYPES[node[0]],
    ),
    Kind("device", (torch.device,), lambda _, value: [str(value)], lambda _, node: torch.device(node[0])),
    Kind("size", (torch.Size,), lambda _, value: [*tuple.__iter__(value)], lambda _, node: torch.Size(node)),
)
