"""Differentiating through the student: what it computed is the output of an autograd function that asks it back.

Inputs belong to a call: one leaf of a test may be in several. Where the student differentiates, the judge's graph ends
at what the student computed, because its own goes on from there; and the other way round.
"""

import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch

from studium_graders.engine.kinds.tensors import tensor_bytes
from studium_graders.engine.wire.channel import ProtocolError
from studium_graders.engine.wire.codec import RefusedError

Inputs = list[torch.Tensor | None]
Ask = Callable[[int, dict[int, torch.Tensor], torch.Tensor, bool], list[Any]]


class Link:
    """One output of the student's: its number, and the leaves that it may depend on. It is released with the graph."""

    def __init__(self, graph: "Graph", number: int, inputs: dict[int, torch.Tensor]) -> None:
        self.graph, self.number, self.inputs = graph, number, inputs

    def gradients(self, gradient: torch.Tensor, needed: Sequence[bool]) -> list[Any]:
        """Ask the student for the gradients of those inputs that need them."""
        wanted = {key: leaf for (key, leaf), need in zip(self.inputs.items(), needed, strict=True) if need}
        if self.graph.ends or not wanted:
            return [None] * len(self.inputs)
        found = self.graph.ask(self.number, wanted, gradient, torch.is_grad_enabled())
        if type(found) is not list or len(found) != len(wanted):
            raise self.graph.refuse("your code gave gradients of another graph")
        checked = {key: self._checked(grad, wanted[key]) for key, grad in zip(wanted, found, strict=True)}
        return [checked.get(key) for key in self.inputs]

    def _checked(self, grad: Any, leaf: torch.Tensor) -> torch.Tensor | None:
        if grad is None:
            return None
        if type(grad) is not torch.Tensor or grad.shape != leaf.shape or grad.dtype != leaf.dtype:
            raise self.graph.refuse("your code gave a gradient that the judge cannot take over")
        return grad

    def __del__(self) -> None:
        self.graph.released.append(self.number)


class Computed(torch.autograd.Function):
    """What the student computed, as one step of the graph here."""

    @staticmethod
    def forward(ctx: Any, link: Link, data: torch.Tensor, *leaves: torch.Tensor) -> torch.Tensor:
        """Return the elements that came over the wire."""
        ctx.link, ctx.count = link, len(leaves)
        ctx.set_materialize_grads(False)
        return data

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        """Ask the student for the gradients of the leaves."""
        needed = ctx.needs_input_grad[2 : 2 + len(ctx.link.inputs)]
        found = [] if grads[0] is None else ctx.link.gradients(grads[0], needed)
        return (None, None, *found, *[None] * (ctx.count - len(found)))


def _bytes_of(grad: torch.Tensor | None) -> bytes:
    return b"" if grad is None else bytes(tensor_bytes(grad))


class Graph:
    """The tensors of a test that both sides know by number: the judge counts its own down, the student's count up."""

    def __init__(self, ask: Ask, refuse: Callable[[str], RefusedError]) -> None:
        self.ask, self.refuse = ask, refuse
        self.ends = False
        self.released: list[int] = []
        self.results: dict[int, tuple[torch.Tensor, Inputs]] = {}
        self._count = 0
        self._made: weakref.WeakValueDictionary[int, torch.Tensor] = weakref.WeakValueDictionary()
        self._numbers: dict[int, int] = {}  # by identity: a number counts where it leads to the same tensor
        self._grads: dict[int, bytes] = {}
        self._frames: list[dict[int, torch.Tensor]] = []

    def hang(self, results: dict[int, torch.Tensor], inputs: Inputs) -> None:
        """Remember what results of a callback depend on, as far as the student knows it."""
        self.results.update({number: (result, inputs) for number, result in results.items()})

    def known(self, numbers: Iterable[int], came: dict[int, torch.Tensor]) -> Inputs:
        """Return tensors that have just come, and leaves, by their numbers; None where there is none."""
        leaves = {**self._made, **self.leaves, **came}
        return [leaves.get(number) for number in numbers]

    def open(self, leaves: dict[int, torch.Tensor]) -> None:
        """Open a request that has these leaves."""
        self._frames.append(leaves)

    def close(self) -> None:
        """Close the request that was opened last."""
        self._frames.pop()

    @property
    def leaves(self) -> dict[int, torch.Tensor]:
        """The leaves of the request that was opened last."""
        return self._frames[-1]

    def number(self, tensor: torch.Tensor) -> tuple[str, int]:
        """Number a tensor that is sent."""
        number = self._numbers.get(id(tensor), 0)
        if self._made.get(number) is tensor:
            return "made", number
        if self.leaves.get(number) is not tensor:
            self._count -= 1
            number = self._numbers[id(tensor)] = self._count
            self.leaves[number] = tensor
        return "entered", number

    def changed_grads(self) -> dict[int, torch.Tensor | None]:
        """Return those gradients of leaves that the student made which it does not have yet."""
        now = {number: (leaf.grad, _bytes_of(leaf.grad)) for number, leaf in self._made.items()}
        changed = {number: grad for number, (grad, held) in now.items() if held != self._grads.get(number, b"")}
        self._grads = {number: held for number, (_, held) in now.items()}
        return changed

    def made(self, number: int, leaf: torch.Tensor) -> torch.Tensor:
        """Return the judge's tensor for a leaf that the student made."""
        known = self._made.get(number)
        if known is not None and known.shape == leaf.shape and known.dtype == leaf.dtype:
            if not torch.equal(known, leaf):
                known.data.copy_(leaf.data)
            return known
        self._made[number] = leaf
        self._numbers[id(leaf)] = number
        return leaf

    def output(self, number: int, data: torch.Tensor) -> torch.Tensor:
        """Return a tensor that the student computed, linked to the leaves of its request."""
        inputs = {**self.leaves, **self._made}
        tensors = [*inputs.values()] or [torch.zeros((), requires_grad=True)]
        with torch.enable_grad():
            return Computed.apply(Link(self, number, inputs), data, *tensors)  # type: ignore[no-untyped-call,no-any-return]

    def pull(self, result: int, gradient: Any, *, create_graph: bool) -> list[Any]:
        """Return the gradients of what a callback's result depends on, for the student's graph."""
        known = self.results.get(result)
        if (
            known is None
            or type(gradient) is not torch.Tensor
            or gradient.shape != known[0].shape
            or gradient.dtype != known[0].dtype
        ):
            raise ProtocolError("a gradient of no result")
        tensor, inputs = known
        wanted = [leaf for leaf in inputs if leaf is not None]
        self.ends, before = True, self.ends
        try:
            found = iter(
                torch.autograd.grad(
                    tensor, wanted, gradient, create_graph=create_graph, retain_graph=True, allow_unused=True
                )
                if wanted
                else ()
            )
        finally:
            self.ends = before
        return [None if leaf is None else next(found) for leaf in inputs]
