"""Differentiating through the other side: what it returned is the output of an autograd function that asks it back."""

from typing import TYPE_CHECKING, Any

import torch

from studium_graders.engine.remote import arrays
from studium_graders.engine.remote.strides import shape_node
from studium_graders.engine.remote.wire import ProtocolError

if TYPE_CHECKING:
    from studium_graders.engine.remote.decode import Decoder
    from studium_graders.engine.remote.encode import Encoder
    from studium_graders.engine.remote.peer import Peer


class Graph:
    """Outputs of this side and the leaves that they depend on; the other side asks for gradients between them."""

    def __init__(self, outputs: list[torch.Tensor], leaves: list[torch.Tensor]) -> None:
        self.outputs = outputs
        self.leaves = leaves

    def gradients(self, given: list[Any], needed: list[bool], *, create: bool) -> list[torch.Tensor | None]:
        """Give the gradients of the needed leaves, None for the others."""
        if len(given) != len(self.outputs) or len(needed) != len(self.leaves):
            raise ProtocolError("a backward pass through another graph")
        pairs = [(output, grad) for output, grad in zip(self.outputs, given, strict=True) if grad is not None]
        wanted = [index for index, need in enumerate(needed) if need]
        result: list[torch.Tensor | None] = [None] * len(needed)
        if pairs and wanted:
            outputs, grads = zip(*pairs, strict=True)
            leaves = [self.leaves[index] for index in wanted]
            found = torch.autograd.grad(
                outputs, leaves, grads, retain_graph=True, create_graph=create, allow_unused=True
            )
            for index, grad in zip(wanted, found, strict=True):
                result[index] = grad
        return result


class Token:
    """Keeps a graph of the other side alive while a backward pass may come."""

    def __init__(self, peer: "Peer", number: int, count: int, places: list[int], path: str) -> None:
        self.peer, self.number, self.count, self.places, self.path = peer, number, count, places, path

    def __del__(self) -> None:
        self.peer.released.add(self.number)


class RemoteOp(torch.autograd.Function):
    """What the other side computed, as one step of the graph here."""

    @staticmethod
    def forward(ctx: Any, token: Token, values: list[torch.Tensor], *leaves: torch.Tensor) -> Any:
        """Give the values that came over the wire."""
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
        found = token.peer.request("backward", token.number, list(grads), needed, torch.is_grad_enabled())
        if type(found) is not list or len(found) != token.count:
            raise ProtocolError("gradients of another graph")
        given = [_checked(found[place], leaf, token) for place, leaf in zip(token.places, ctx.leaves, strict=False)]
        return (None, None, *given, *[None] * (len(ctx.leaves) - len(given)))


def _checked(grad: Any, leaf: torch.Tensor, token: Token) -> torch.Tensor | None:
    if grad is None:
        return None
    if not isinstance(grad, torch.Tensor) or grad.shape != leaf.shape:
        raise ProtocolError("a gradient of another shape")
    return token.peer.gradient(grad.to(leaf.dtype), token.path)


def leaves_of(outputs: list[torch.Tensor]) -> list[torch.Tensor]:
    """Give the tensors at which the history of ``outputs`` begins, in the order of discovery."""
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


def graph_node(peer: "Peer", encoder: "Encoder") -> Any:
    """Give the node of the outputs that a message holds; None where there are none."""
    outputs = encoder.outputs
    if not outputs:
        return None
    leaves = leaves_of(outputs)
    number = peer.enrol(Graph(outputs, leaves))
    values = []
    for output in outputs:
        data = arrays.tensor_bytes(output, peer.limits.message_mb << 20)
        values.append([str(output.dtype).removeprefix("torch."), shape_node(output), encoder.buffer(data)])
    return [number, values, [peer.leaf_node(leaf, encoder) for leaf in leaves]]


def read_graph(node: Any, decoder: "Decoder") -> None:
    """Make the outputs of a message, connected to those of their leaves that are known here."""
    peer = decoder.peer
    number, values, leaf_nodes = node
    if type(number) is not int:
        raise ProtocolError("no graph")
    data = [arrays.tensor_of(name, shape, decoder.buffer(index)) for name, shape, index in values]
    found = [(place, peer.leaf(leaf)) for place, leaf in enumerate(leaf_nodes)]
    known = [(place, leaf) for place, leaf in found if leaf is not None]
    token = Token(peer, number, len(leaf_nodes), [place for place, _ in known], decoder.path)
    leaves = [leaf for _, leaf in known] or [torch.zeros((), requires_grad=True)]
    with torch.enable_grad():
        decoder.outputs = RemoteOp.apply(token, data, *leaves)  # type: ignore[no-untyped-call]
