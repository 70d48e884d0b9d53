"""The student's graph: leaves for what the judge sent, outputs that it may differentiate, and results of callbacks."""

from collections.abc import Callable, Sequence
from typing import Any

import torch

Pull = Callable[[int, torch.Tensor, Sequence[torch.Tensor], bool], list[Any]]


class Hung(torch.autograd.Function):
    """What a callback returned, as one step of the graph here."""

    @staticmethod
    def forward(ctx: Any, graph: "Graph", number: int, data: torch.Tensor, *inputs: torch.Tensor) -> torch.Tensor:
        """Return the elements that came over the wire."""
        ctx.graph, ctx.number, ctx.inputs = graph, number, inputs
        ctx.set_materialize_grads(False)
        return data

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        """Ask the judge for the gradients of what was given to the callback; where it differentiates, end here."""
        nothing = [None] * len(ctx.inputs)
        gradient = grads[0]
        if gradient is None or ctx.graph.ends:
            return (None, None, None, *nothing)
        found = ctx.graph.pull(ctx.number, gradient, ctx.inputs, torch.is_grad_enabled())
        return (None, None, None, *(found or nothing))


class Graph:
    """Tensors that both sides know by number: the judge counts its own down, this side counts up."""

    def __init__(self, pull: Pull) -> None:
        self.pull = pull
        self.ends = False
        self.inputs: list[list[int]] = []  # numbers of the leaves of the requests that are open
        self._leaves: dict[int, torch.Tensor] = {}
        self._numbers: dict[int, int] = {}
        self._entered: dict[int, torch.Tensor] = {}
        self._count = 0

    def enter(self, tensor: torch.Tensor) -> int:
        """Number a tensor that the judge gets; a leaf has one number."""
        own_leaf = tensor.is_leaf and self.has_made(tensor)
        if own_leaf and id(tensor) in self._numbers:
            return self._numbers[id(tensor)]
        self._count += 1
        if own_leaf:
            self._keep(self._count, tensor)
        else:
            self._entered[self._count] = tensor
        return self._count

    def has_made(self, leaf: torch.Tensor) -> bool:
        """Return whether a leaf is this side's own, and stands for none of the judge's."""
        return self._numbers.get(id(leaf), 1) > 0

    def _keep(self, number: int, leaf: torch.Tensor) -> None:
        self._leaves[number] = leaf
        self._numbers[id(leaf)] = number

    def take(self, grads: dict[int, Any], released: Sequence[int]) -> None:
        """Give leaves that were made here the gradients that they have in the judge; forget what that has forgotten."""
        for number, grad in grads.items():
            self._leaves[number].grad = grad
        for number in released:
            self._entered.pop(number, None)

    def open_leaves(self) -> dict[int, torch.Tensor]:
        """Return the leaves of the request that was opened last."""
        return {number: self._leaves[number] for number in (self.inputs[-1] if self.inputs else ())}

    def leaf(self, number: int, data: torch.Tensor, *, is_leaf: bool, own: bool) -> torch.Tensor:
        """Return the tensor for an argument that requires a gradient: a leaf, or what has a leaf behind it.

        ``own``: it is a parameter of what a callback returned, and where it goes back, it is as if made here.
        """
        if number in self._leaves:
            known = self._leaves[number]
            if not torch.equal(known.detach(), data.detach()):
                known.data.copy_(data.detach())
            known.requires_grad_(data.requires_grad)
            return known
        self._leaves[number] = data
        if not own:
            self._numbers[id(data)] = number
        if self.inputs and number not in self.inputs[-1]:
            self.inputs[-1].append(number)
        if is_leaf:
            return data
        with torch.enable_grad():
            return data.clone()

    def hang(self, number: int, data: torch.Tensor, inputs: Sequence[torch.Tensor]) -> torch.Tensor:
        """Return the tensor for a result of a callback, which depends on what was given to that."""
        if number not in self._leaves:
            inputs = [*inputs] or [torch.zeros((), requires_grad=True)]  # else it would have no history
            with torch.enable_grad():
                found: torch.Tensor = Hung.apply(self, number, data, *inputs)  # type: ignore[no-untyped-call]
            self._leaves[number] = found
        return self._leaves[number]

    def known(self, numbers: Sequence[int]) -> list[torch.Tensor]:
        """Return the leaves of these numbers."""
        return [self._leaves[number] for number in numbers]

    def differentiate(
        self, output: int, inputs: Sequence[int], gradient: torch.Tensor, *, create_graph: bool
    ) -> list[torch.Tensor | None]:
        """Return the gradients of leaves and of results of callbacks, where the graph ends for the judge."""
        tensor, leaves = self._of(output), self.known(inputs)
        if not leaves:
            return []
        self.ends, before = True, self.ends
        try:
            found = torch.autograd.grad(
                tensor, leaves, gradient, retain_graph=True, create_graph=create_graph, allow_unused=True
            )
        finally:
            self.ends = before
        return list(found)

    def _of(self, number: int) -> torch.Tensor:
        return self._entered[number] if number in self._entered else self._leaves[number]
