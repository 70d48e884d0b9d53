"""Tensors that exist on both sides, one for one, and are kept equal: parameters, leaves, buffers.

Either side may change them while it runs. Before each message its sender compares them with what was last exchanged
and adds what changed, gradients and requires_grad included.
"""

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter, is_lazy

from studium_graders.engine.remote import arrays
from studium_graders.engine.remote.letting_go import unused
from studium_graders.engine.remote.tags import Tag
from studium_graders.engine.remote.tensor_nodes import contents
from studium_graders.engine.remote.wire import ProtocolError
from studium_graders.engine.remote.writeback import overwrite_tensor

if TYPE_CHECKING:
    from studium_graders.engine.remote.decode import Decoder
    from studium_graders.engine.remote.encode import Encoder
    from studium_graders.engine.remote.peer import Peer


class Mirror:
    """What was last exchanged of one tensor. ``blank`` mirrors have a shape and a gradient only."""

    __slots__ = ("blank", "data", "grad", "lacking", "mine", "number", "requires_grad", "stale", "tensor", "version")

    def __init__(self, tensor: torch.Tensor, number: int, *, mine: bool, blank: bool = False) -> None:
        self.tensor = weakref.ref(tensor)
        self.number, self.mine, self.blank = number, mine, blank
        self.data: torch.Tensor | None = None
        self.grad: torch.Tensor | None = None
        self.requires_grad = False
        self.stale = self.lacking = False
        self.version = 0

    def note(self) -> None:
        """Remember what the tensor holds now as exchanged."""
        tensor = self.tensor()
        if tensor is not None:
            self.data = None if self.blank or is_lazy(tensor) else _copy(tensor)
            self.grad = None if tensor.grad is None else _copy(tensor.grad)
            self.requires_grad = tensor.requires_grad
            self.stale = False
            self.version = tensor._version


def _copy(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().clone()


def _same(tensor: torch.Tensor | None, last: torch.Tensor | None) -> bool:
    if tensor is None or last is None:
        return tensor is last
    if tensor.shape != last.shape or tensor.dtype != last.dtype:
        return False
    return torch.equal(tensor, last) or bool(((tensor == last) | ((tensor != tensor) & (last != last))).all())


class Mirrors:
    """All mirrors of one end."""

    def __init__(self, peer: "Peer") -> None:
        self._peer = peer
        self._by_number: dict[tuple[bool, int], Mirror] = {}
        self._kept: dict[int, torch.Tensor] = {}  # those of the other side's, until their release is announced

    def add(self, tensor: torch.Tensor, number: int, *, mine: bool, blank: bool = False) -> Mirror:
        """Keep a tensor equal to one of the other side from now on."""
        mirror = Mirror(tensor, number, mine=mine, blank=blank)
        self._by_number[mine, number] = mirror
        self._peer.references[id(tensor)] = [Tag.MIRROR, mine, number]
        mirror.note()
        return mirror

    def enrol(self, tensor: torch.Tensor, encoder: "Encoder", *, blank: bool = False) -> list[Any]:
        """Begin to mirror a tensor of this side; give its node."""
        number = self._peer.enrol(tensor)
        mirror = self.add(tensor, number, mine=True, blank=blank)
        encoder.defined.append(mirror)
        return self._peer.references[id(tensor)]

    def forget(self, number: int) -> None:
        """Stop mirroring a tensor of this side."""
        self._by_number.pop((True, number), None)

    def find(self, mine: Any, number: Any) -> torch.Tensor:
        """Give the tensor that the other side named."""
        mirror = self._by_number.get((not mine, number)) if type(number) is int else None
        tensor = None if mirror is None else mirror.tensor()
        if tensor is None:
            raise ProtocolError("no such tensor")
        return tensor

    # ------------------------------------------------------------------------------------------------ sending

    def nodes(self, encoder: "Encoder") -> Any:
        """Give definitions of new mirrors and what changed in the others; None where there is nothing."""
        new = {id(mirror) for mirror in encoder.defined}
        changes = [
            change
            for mirror in list(self._by_number.values())
            if id(mirror) not in new and (change := self._change(mirror, encoder)) is not None
        ]
        definitions = [self._definition(mirror, encoder) for mirror in encoder.defined]
        return [definitions, changes] if changes or definitions else None

    def resend(self) -> None:
        """Count every tensor as changed."""
        for mirror in self._by_number.values():
            mirror.stale = True

    def sweep(self) -> list[int]:
        """Let those tensors of the other side's go that nobody here uses any more; give their numbers."""
        gone = []
        for number, address in unused(self._kept):
            gone.append(number)
            del self._by_number[False, number]
            self._peer.references.pop(address, None)
        return gone

    def _definition(self, mirror: Mirror, encoder: "Encoder") -> list[Any]:
        tensor = mirror.tensor()
        assert tensor is not None
        lazy = is_lazy(tensor)
        data = None if mirror.blank or lazy else self._contents(tensor, encoder)
        shape = None if lazy else list(tensor.shape)
        kind = [str(tensor.dtype).removeprefix("torch."), shape, isinstance(tensor, nn.Parameter)]
        return [mirror.number, *kind, data, tensor.requires_grad, self._grad(tensor, encoder)]

    def _grad(self, tensor: torch.Tensor, encoder: "Encoder") -> Any:
        return None if tensor.grad is None else self._contents(tensor.grad, encoder)

    def _contents(self, tensor: torch.Tensor, encoder: "Encoder") -> list[Any]:
        plain = tensor.detach()
        plain = plain.to_dense() if plain.layout is not torch.strided else plain
        return contents(plain, encoder, self._peer.limits.message_mb)

    def _change(self, mirror: Mirror, encoder: "Encoder") -> list[Any] | None:
        tensor = mirror.tensor()
        if tensor is None or is_lazy(tensor):
            return None
        show = mirror.blank and id(tensor) in encoder.shown
        data = show or not (mirror.blank or (_same(tensor, mirror.data) and not mirror.stale))
        grad = mirror.stale or not _same(tensor.grad, mirror.grad)
        if not data and not grad and tensor.requires_grad == mirror.requires_grad:
            return None
        mirror.blank = mirror.blank and not show
        quiet = tensor._version == mirror.version  # it was changed through .data, of which autograd does not know
        mirror.note()
        new_data = self._contents(tensor, encoder) if data else None
        new_grad = [self._grad(tensor, encoder)] if grad else None
        return [mirror.mine, mirror.number, new_data, new_grad, tensor.requires_grad, quiet]

    # ------------------------------------------------------------------------------------------------ receiving

    def read(self, node: Any, decoder: "Decoder") -> None:
        """Make new mirrors and take over changes."""
        definitions, changes = node
        for definition in definitions:
            self._define(definition, decoder)
        for mine, number, *change in changes:
            mirror = self._by_number.get((not mine, number)) if type(number) is int else None
            tensor = None if mirror is None else mirror.tensor()
            if mirror is None:
                raise ProtocolError("a change of no tensor")
            if tensor is not None and self._peer.accepts_change(mirror):
                if change[1] is not None and not self._peer.accepts_gradient(mirror):
                    change[1] = None
                self._update(mirror, tensor, change, decoder)

    def _define(self, node: list[Any], decoder: "Decoder") -> None:
        number, dtype, shape, parameter, data, requires_grad, grad = node
        if type(number) is not int or number in self._kept:
            raise ProtocolError("a tensor that is there already")
        if shape is None:
            self._kept[number] = lazy = _uninitialized(dtype, requires_grad is True, parameter=parameter is True)
            self.add(lazy, number, mine=False)
            return
        tensor = _empty(dtype, shape) if data is None else _tensor_of(data, decoder)
        tensor = nn.Parameter(tensor, requires_grad=False) if parameter else tensor
        tensor.requires_grad_(requires_grad is True)
        if grad is not None:
            tensor.grad = _tensor_of(grad, decoder)
        self._kept[number] = tensor
        mirror = self.add(tensor, number, mine=False, blank=data is None)
        content = tensor.detach()
        if data is not None and (found := self._peer.part(content, mirror, decoder)) is not content:
            overwrite_tensor(tensor, found)
            mirror.note()

    def _update(self, mirror: Mirror, tensor: torch.Tensor, change: list[Any], decoder: "Decoder") -> None:
        data, grad, requires_grad, quiet = change
        if mirror.blank and mirror.mine:  # what was never shown cannot have been changed
            data, requires_grad = None, tensor.requires_grad
        if data is not None:
            mirror.lacking = False
            content = self._peer.part(_tensor_of(data, decoder), mirror, decoder)
            if is_lazy(tensor):
                tensor.materialize(content.shape, dtype=content.dtype)
            alike = tensor.shape == content.shape and tensor.dtype == content.dtype
            overwrite_tensor(tensor.data if quiet and alike else tensor, content)
            mirror.blank = False
        if grad is not None:
            new = None if grad[0] is None else self._peer.part(_tensor_of(grad[0], decoder), mirror, decoder)
            if new is None or tensor.grad is None or tensor.grad.shape != new.shape:
                tensor.grad = new
            else:
                overwrite_tensor(tensor.grad, new)
        if tensor.is_leaf and tensor.requires_grad is not requires_grad:
            tensor.requires_grad_(requires_grad is True)
        mirror.note()

    @contextmanager
    def as_if(self, replace: Callable[[torch.Tensor], torch.Tensor]) -> Iterator[None]:
        """Let tensors that lack something hold something else for a while, of which the other side does not hear."""
        lacking = [mirror for mirror in self._by_number.values() if mirror.lacking]
        held = [(mirror, tensor) for mirror in lacking if (tensor := mirror.tensor()) is not None]
        before = [_copy(tensor) for _, tensor in held]
        _hold(held, [replace(data) for data in before])
        try:
            yield
        finally:
            _hold(held, before)


def _hold(held: list[tuple[Mirror, torch.Tensor]], contents: list[torch.Tensor]) -> None:
    for (mirror, tensor), content in zip(held, contents, strict=True):
        overwrite_tensor(tensor.data, content)
        mirror.note()


def _tensor_of(node: list[Any], decoder: "Decoder") -> torch.Tensor:
    dtype, shape, data = node
    return arrays.tensor_of(dtype, shape, decoder.buffer(data))


def _uninitialized(dtype: Any, requires_grad: bool, *, parameter: bool) -> torch.Tensor:
    """Give the parameter or buffer of a lazy module, which gets its shape from the first data."""
    if dtype not in arrays.TORCH_DTYPES:
        raise ProtocolError("no tensor")
    make: Any = UninitializedParameter if parameter else UninitializedBuffer
    lazy: torch.Tensor = make(requires_grad, dtype=arrays.TORCH_DTYPES[dtype])
    return lazy


def _empty(dtype: Any, shape: Any) -> torch.Tensor:
    if dtype not in arrays.TORCH_DTYPES or not all(type(size) is int and 0 <= size < 2**40 for size in shape):
        raise ProtocolError("no tensor")
    return torch.zeros((), dtype=arrays.TORCH_DTYPES[dtype]).expand(tuple(shape))
