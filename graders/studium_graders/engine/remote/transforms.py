"""torch.func over a function of the other side: its values and derivatives are asked for with plain tensors.

Inside ``grad``, ``jvp`` or ``vmap`` a tensor stands for others and has no data. An autograd function takes it off level
by level: of a batch each sample is asked for by itself, and a derivative is what the other side's graph gives.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch.utils._pytree import tree_flatten, tree_leaves, tree_unflatten

_Plain = Callable[..., tuple[torch.Tensor, ...]]


def holds_transformed(parts: Any) -> bool:
    """Tell whether there are tensors of a transform in the parts of a request."""
    if torch._C._functorch.peek_interpreter_stack() is None:
        return False
    return any(
        _is_tensor(leaf) and torch._C._functorch.is_functorch_wrapped_tensor(leaf) for leaf in tree_leaves(parts)
    )


def ask(request: Callable[..., Any], parts: Any) -> Any:
    """Give what a request gives, as a part of the transforms that are open."""
    leaves, shape = tree_flatten(parts)
    found: list[Any] = []

    def plain(*tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        filled = _filled(leaves, tensors)
        found[:] = tree_flatten(request(*tree_unflatten(filled, shape)))
        return tuple(filter(_is_tensor, found[0]))

    outputs = _Asked.apply(plain, *filter(_is_tensor, leaves))  # type: ignore[no-untyped-call]
    return tree_unflatten(_filled(found[0], outputs), found[1])


def _is_tensor(value: Any) -> bool:
    return isinstance(value, torch.Tensor)


def _filled(leaves: list[Any], tensors: tuple[torch.Tensor, ...]) -> list[Any]:
    waiting = iter(tensors)
    return [next(waiting) if _is_tensor(leaf) else leaf for leaf in leaves]


class _Asked(torch.autograd.Function):
    """A function of plain tensors that can be differentiated in plain torch, for torch.func."""

    @staticmethod
    def forward(plain: _Plain, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Give the values."""
        return tuple(output.detach() for output in plain(*inputs))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        """Keep the arguments."""
        ctx.plain, *tensors = inputs
        ctx.save_for_backward(*tensors)
        ctx.save_for_forward(*tensors)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Ask for the gradients, which can be differentiated again."""
        inputs = ctx.saved_tensors
        found = _Asked.apply(_pullback(ctx.plain, len(inputs)), *inputs, *grads)  # type: ignore[no-untyped-call]
        return None, *(grad if value.is_floating_point() else None for grad, value in zip(found, inputs, strict=True))

    @staticmethod
    def jvp(ctx: Any, _: None, *tangents: torch.Tensor | None) -> tuple[torch.Tensor, ...]:
        """Ask for the directional derivative."""
        inputs = ctx.saved_tensors
        along = [torch.zeros_like(value) if t is None else t for value, t in zip(inputs, tangents, strict=True)]
        return _Asked.apply(_pushforward(ctx.plain, len(inputs)), *inputs, *along)  # type: ignore[no-any-return,no-untyped-call]

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], plain: _Plain, *inputs: torch.Tensor) -> Any:
        """Ask for each sample of a batch."""
        dims = in_dims[1:]
        rows = [
            _Asked.apply(  # type: ignore[no-untyped-call]
                plain, *(x if dim is None else x.select(dim, i) for x, dim in zip(inputs, dims, strict=True))
            )
            for i in range(info.batch_size)
        ]
        outputs = tuple(torch.stack(column) for column in zip(*rows, strict=True))
        return outputs, (0,) * len(outputs)


def _pullback(plain: _Plain, count: int) -> _Plain:
    """Give the function from arguments and gradients of the values to those of the arguments."""

    def pulled(*values: torch.Tensor) -> tuple[torch.Tensor, ...]:
        grads = values[count:]
        with torch.enable_grad():
            inputs = [_leaf(value) for value in values[:count]]
            return _gradients(plain(*inputs), inputs, grads)

    return pulled


def _pushforward(plain: _Plain, count: int) -> _Plain:
    """Give the function from arguments and directions to the change of the values, by differentiating twice."""

    def pushed(*values: torch.Tensor) -> tuple[torch.Tensor, ...]:
        directions = values[count:]
        with torch.enable_grad():
            inputs = [_leaf(value) for value in values[:count]]
            outputs = plain(*inputs)
            weights = [torch.ones_like(output, requires_grad=True) for output in outputs]
            return _gradients(_gradients(outputs, inputs, weights), weights, directions)

    return pushed


def _leaf(value: torch.Tensor) -> torch.Tensor:
    return value if value.requires_grad or not value.is_floating_point() else value.detach().requires_grad_()


def _gradients(outputs: Any, inputs: list[torch.Tensor], grads: Any) -> tuple[torch.Tensor, ...]:
    pairs = [(output, grad) for output, grad in zip(outputs, grads, strict=True) if output.requires_grad]
    wanted = [value for value in inputs if value.requires_grad]
    if not pairs:
        return tuple(map(torch.zeros_like, inputs))
    differentiated, given = map(list, zip(*pairs, strict=True))
    found = iter(torch.autograd.grad(differentiated, wanted, given, create_graph=True, allow_unused=True))
    by_input = [next(found) if value.requires_grad else None for value in inputs]
    return tuple(
        torch.zeros_like(value) if grad is None else grad for value, grad in zip(inputs, by_input, strict=True)
    )
