"""How an object of the judge's becomes again what it was before the student's code changed it."""

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn

from studium_graders.engine.remote.writeback import holds_items, overwrite, overwrite_tensor

Memory = Callable[[], object]
"""Puts an object back to what it was when this was made."""


def memory_of(value: Any) -> Memory:
    """Remember what an object is now."""
    if isinstance(value, torch.Tensor):
        return _memory_of_tensor(value)
    if holds_items(type(value)):
        return partial(overwrite, value, copy.copy(value))
    held: dict[str, Any] = getattr(value, "__dict__", {})
    parts = [part for part in held.values() if type(part) is dict] if isinstance(value, nn.Module) else []
    kept = [(part, dict(part)) for part in (held, *parts)]
    return partial(_hold, kept)


def _hold(kept: list[tuple[dict[str, Any], dict[str, Any]]]) -> None:
    for held, items in kept:
        held.clear()
        held.update(items)


def _memory_of_tensor(tensor: torch.Tensor) -> Memory:
    data, gradient = tensor.detach().clone(), tensor.grad
    of_gradient = None if gradient is None else gradient.detach().clone()
    requires_grad = tensor.requires_grad

    def put_back() -> None:
        overwrite_tensor(tensor, data)
        if gradient is not None and of_gradient is not None:
            overwrite_tensor(gradient, of_gradient)
        tensor.grad = gradient
        if tensor.is_leaf:
            tensor.requires_grad_(requires_grad)

    return put_back
