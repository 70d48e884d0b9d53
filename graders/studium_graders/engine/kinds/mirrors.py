"""Tensors that exist on both sides, one for one, and are kept equal: parameters, leaves, buffers.

Either side may change them while it runs. Before each message its sender compares them with what was last exchanged
and adds what changed, gradients and requires_grad included.
"""

import weakref
from typing import Any

import torch
from torch import nn

from studium_graders.engine.kinds.tensors import Entries, contents, overwrite_tensor, tensor_of
from studium_graders.engine.wire.channel import ProtocolError
from studium_graders.engine.wire.codec import Context, Decoder, Encoder
from studium_graders.engine.wire.messages import Node
from studium_graders.engine.wire.objects import unused

_DEFINED = "mirrors"


class Mirror:
    """What was last exchanged of one tensor."""

    __slots__ = ("data", "grad", "mine", "number", "requires_grad", "stale", "tensor", "version")

    def __init__(self, tensor: torch.Tensor, number: int, *, mine: bool) -> None:
        self.tensor = weakref.ref(tensor)
        self.number, self.mine, self.stale = number, mine, False
        self.note(tensor)

    def note(self, tensor: torch.Tensor) -> None:
        """Remember what the tensor holds now as exchanged."""
        self.data = _copy(tensor)
        self.grad = None if tensor.grad is None else _copy(tensor.grad)
        self.requires_grad, self.version, self.stale = tensor.requires_grad, tensor._version, False


def _copy(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().clone()


def _same(tensor: torch.Tensor | None, last: torch.Tensor | None) -> bool:
    if tensor is None or last is None:
        return tensor is last
    if tensor.shape != last.shape or tensor.dtype != last.dtype:
        return False
    return torch.equal(tensor, last) or bool(((tensor == last) | ((tensor != tensor) & (last != last))).all())


class Mirrors:
    """All mirrors of one end: a section of each message."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.entries = Entries()
        self._by_number: dict[tuple[bool, int], Mirror] = {}
        self._kept: dict[int, torch.Tensor] = {}  # those of the other side's, until their release is announced

    def _add(self, tensor: torch.Tensor, number: int, *, mine: bool) -> Mirror:
        mirror = self._by_number[mine, number] = Mirror(tensor, number, mine=mine)
        self._context.objects.references[id(tensor)] = ["tensor", "leaf", mine, number]
        return mirror

    def enrol(self, tensor: torch.Tensor, encoder: Encoder) -> Node:
        """Begin to mirror a tensor of this side, if it is not yet; return its node without the tag."""
        reference = self._context.objects.references.get(id(tensor))
        if reference is None:
            mirror = self._add(tensor, self._context.objects.enrol(tensor), mine=True)
            encoder.collect(_DEFINED, mirror)
            reference = self._context.objects.references[id(tensor)]
        return reference[1:]

    def find(self, mine: Any, number: Any) -> torch.Tensor:
        """Return the tensor that the other side named."""
        mirror = self._by_number.get((not mine, number)) if type(number) is int else None
        tensor = None if mirror is None else mirror.tensor()
        if tensor is None:
            raise ProtocolError("no such tensor")
        return tensor

    # ------------------------------------------------------------------------------------------------ as a section

    def write(self, encoder: Encoder) -> Node:
        """Return definitions of new mirrors and what changed in the others."""
        defined = encoder.collected.get(_DEFINED, [])
        new = {id(mirror) for mirror in defined}
        known = [mirror for mirror in list(self._by_number.values()) if id(mirror) not in new]
        changes = [change for mirror in known if (change := self._change(mirror, encoder)) is not None]
        definitions = [self._definition(mirror, encoder) for mirror in defined]
        return [definitions, changes] if changes or definitions else None

    def read(self, node: Node, decoder: Decoder) -> None:
        """Make new mirrors and take over changes."""
        definitions, changes = node
        for definition in definitions:
            self._define(definition, decoder)
        for mine, number, *change in changes:
            mirror = self._by_number.get((not mine, number)) if type(number) is int else None
            if mirror is None:
                raise ProtocolError("a change of no tensor")
            if (tensor := mirror.tensor()) is not None:
                _update(mirror, tensor, change, decoder)

    def resend(self) -> None:
        """Count every tensor as changed."""
        for mirror in self._by_number.values():
            mirror.stale = True

    def sweep(self) -> list[int]:
        """Let those tensors of the other side's go that nobody here uses any more; return their numbers."""
        gone = unused(self._kept)
        for number, address in gone:
            del self._by_number[False, number]
            self._context.objects.references.pop(address, None)
        return [number for number, _ in gone]

    def forget(self, number: int) -> None:
        """Stop mirroring a tensor of this side."""
        self._by_number.pop((True, number), None)

    def _definition(self, mirror: Mirror, encoder: Encoder) -> list[Any]:
        tensor = mirror.tensor()
        assert tensor is not None
        parts = [isinstance(tensor, nn.Parameter), _contents(tensor, encoder), tensor.requires_grad]
        return [mirror.number, *parts, _grad(tensor, encoder)]

    def _change(self, mirror: Mirror, encoder: Encoder) -> list[Any] | None:
        tensor = mirror.tensor()
        if tensor is None:
            return None
        data = mirror.stale or not _same(tensor, mirror.data)
        grad = mirror.stale or not _same(tensor.grad, mirror.grad)
        if not data and not grad and tensor.requires_grad == mirror.requires_grad:
            return None
        quiet = tensor._version == mirror.version  # it was changed through .data, of which autograd does not know
        mirror.note(tensor)
        new_data = _contents(tensor, encoder) if data else None
        new_grad = [_grad(tensor, encoder)] if grad else None
        return [mirror.mine, mirror.number, new_data, new_grad, tensor.requires_grad, quiet]

    def _define(self, node: list[Any], decoder: Decoder) -> None:
        number, parameter, data, requires_grad, grad = node
        if type(number) is not int or number in self._kept:
            raise ProtocolError("a tensor that is there already")
        tensor = tensor_of(data, decoder)
        tensor = nn.Parameter(tensor, requires_grad=False) if parameter else tensor
        tensor.requires_grad_(requires_grad is True)
        if grad is not None:
            tensor.grad = tensor_of(grad, decoder)
        self._kept[number] = tensor
        self._add(tensor, number, mine=False)


def _update(mirror: Mirror, tensor: torch.Tensor, change: list[Any], decoder: Decoder) -> None:
    data, grad, requires_grad, quiet = change
    if data is not None:
        content = tensor_of(data, decoder)
        alike = tensor.shape == content.shape and tensor.dtype == content.dtype
        overwrite_tensor(tensor.data if quiet and alike else tensor, content)
    if grad is not None:
        new = None if grad[0] is None else tensor_of(grad[0], decoder)
        if new is None or tensor.grad is None or tensor.grad.shape != new.shape:
            tensor.grad = new
        else:
            overwrite_tensor(tensor.grad, new)
    if tensor.is_leaf and tensor.requires_grad is not requires_grad:
        tensor.requires_grad_(requires_grad is True)
    mirror.note(tensor)


def _grad(tensor: torch.Tensor, encoder: Encoder) -> Node:
    return None if tensor.grad is None else _contents(tensor.grad, encoder)


def _contents(tensor: torch.Tensor, encoder: Encoder) -> list[Any]:
    plain = tensor.detach()
    return contents(plain if plain.layout is torch.strided else plain.to_dense(), encoder)
