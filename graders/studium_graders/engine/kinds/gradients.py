"""Differentiating through the other side: what it returned is the output of an autograd function that asks it back."""

from typing import Any

import torch

from studium_graders.engine.kinds.tensors import OUTPUTS, contents, leaf_node, leaf_of, tensor_of
from studium_graders.engine.wire.channel import ProtocolError
from studium_graders.engine.wire.codec import Context, Decoder, Encoder
from studium_graders.engine.wire.messages import Node


class Graph:
    """Outputs of this side and the leaves that they depend on; the other side asks for gradients between them.

    It does not know all ``leaves``: those of which it is not told get their gradients here.
    """

    def __init__(self, outputs: list[torch.Tensor], leaves: list[torch.Tensor]) -> None:
        self.outputs = outputs
        self.leaves = leaves
        self.untold: list[int] = []

    def gradients(self, given: list[Any], needed: list[bool], *, create: bool) -> list[torch.Tensor | None]:
        """Return the gradients of the needed leaves, None for the others."""
        if len(given) != len(self.outputs) or len(needed) != len(self.leaves):
            raise ProtocolError("a backward pass through another graph")
        pairs = [(output, grad) for output, grad in zip(self.outputs, given, strict=True) if grad is not None]
        wanted = [index for index, need in enumerate(needed) if need or index in self.untold]
        result: list[torch.Tensor | None] = [None] * len(needed)
        if pairs and wanted:
            outputs, grads = zip(*pairs, strict=True)
            leaves = [self.leaves[index] for index in wanted]
            found = torch.autograd.grad(
                outputs, leaves, grads, retain_graph=True, create_graph=create, allow_unused=True
            )
            for index, grad in zip(wanted, found, strict=True):
                if index not in self.untold:
                    result[index] = grad
                elif grad is not None:
                    _accumulate(self.leaves[index], grad.detach())
        return result


def _accumulate(leaf: torch.Tensor, grad: torch.Tensor) -> None:
    leaf.grad = grad if leaf.grad is None else leaf.grad + grad


def differentiate(context: Context, number: Any, grads: list[Any], needed: list[bool], create: bool) -> list[Any]:
    """Return gradients through a graph of this side that the other one names."""
    graph = context.objects.own(number)
    if not isinstance(graph, Graph):
        raise ProtocolError("no graph")
    return graph.gradients(grads, needed, create=create is True)


class Token:
    """Keeps a graph of the other side alive while a backward pass may come. ``places`` are the leaves known here."""

    def __init__(self, context: Context, number: int, count: int, places: list[int]) -> None:
        self.context, self.number, self.count, self.places = context, number, count, places

    def __del__(self) -> None:
        self.context.objects.released.add(self.number)


class RemoteOp(torch.autograd.Function):
    """What the other side computed, as one step of the graph here."""

    @staticmethod
    def forward(ctx: Any, token: Token, values: list[torch.Tensor], *leaves: torch.Tensor) -> Any:
        """Return the values that came over the wire."""
        ctx.token, ctx.leaves = token, leaves
        ctx.set_materialize_grads(False)
        return tuple(values)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor | None) -> Any:
        """Ask the other side for the gradients of the leaves."""
        token = ctx.token
        needed = [False] * token.count
        for place, need in zip(token.places, ctx.needs_input_grad[2:], strict=False):
            needed[place] = need
        found = token.context.request("backward", token.number, list(grads), needed, torch.is_grad_enabled())
        if type(found) is not list or len(found) != token.count:
            raise ProtocolError("gradients of another graph")
        given = [_checked(found[place], leaf) for place, leaf in zip(token.places, ctx.leaves, strict=False)]
        return (None, None, *given, *[None] * (len(ctx.leaves) - len(given)))


def _checked(grad: Any, leaf: torch.Tensor) -> torch.Tensor | None:
    if grad is None:
        return None
    if not isinstance(grad, torch.Tensor) or grad.shape != leaf.shape:
        raise ProtocolError("a gradient of another shape")
    return grad.to(leaf.dtype)


def leaves_of(outputs: list[torch.Tensor]) -> list[torch.Tensor]:
    """Return the tensors at which the history of ``outputs`` begins, in the order of discovery."""
    stack = [output.grad_fn for output in outputs]
    seen, leaves = set(stack), []
    while stack:
        node = stack.pop()
        if node is None:
            continue
        variable = getattr(node, "variable", None)
        if isinstance(variable, torch.Tensor):
            leaves.append(variable)
        for parent, _ in node.next_functions:
            if parent is not None and parent not in seen:
                seen.add(parent)
                stack.append(parent)
    return leaves


class Graphs:
    """The graph of the outputs that a message holds: a section of each message."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def write(self, encoder: Encoder) -> Node:
        """Return the outputs and the leaves that they depend on."""
        outputs = encoder.collected.get(OUTPUTS)
        if not outputs:
            return None
        leaves = leaves_of(outputs)
        graph = Graph(outputs, leaves)
        number = self._context.objects.enrol(graph)
        values = [contents(output, encoder) for output in outputs]
        nodes = [leaf_node(leaf, encoder) for leaf in leaves]
        graph.untold = [place for place, node in enumerate(nodes) if node is None]
        return [number, values, nodes]

    def read(self, node: Node, decoder: Decoder) -> None:
        """Make the outputs of a message, connected to those of their leaves that are known here."""
        number, values, leaves = node
        if type(number) is not int:
            raise ProtocolError("no graph")
        found = [(place, leaf_of(leaf, self._context)) for place, leaf in enumerate(leaves)]
        known = [(place, leaf) for place, leaf in found if leaf is not None]
        token = Token(self._context, number, len(leaves), [place for place, _ in known])
        inputs = [leaf for _, leaf in known]
        if len(known) < len(leaves) or not known:  # lets a backward pass come here
            inputs.append(torch.zeros((), requires_grad=True))
        data = [tensor_of(value, decoder) for value in values]
        with torch.enable_grad():
            decoder.outputs = RemoteOp.apply(token, data, *inputs)  # type: ignore[no-untyped-call]

    def resend(self) -> None:
        """Do nothing: a graph goes with its message."""

    def sweep(self) -> list[int]:
        """Return nothing: ``Token`` tells when a graph is not needed any more."""
        return []

    def forget(self, number: int) -> None:
        """Do nothing: the graph is an object like others."""
