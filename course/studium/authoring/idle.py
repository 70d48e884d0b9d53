"""Building blocks that do nothing: they return zeros with the type and shape of the right result."""

import copy
import functools
import sys
from typing import Any

from studium.exercises.model import AnyFunction
from studium.exercises.observation import snapshot


def idle(function: AnyFunction) -> AnyFunction:
    """Return a function that leaves its arguments alone and returns zeros instead of numbers.

    The right function works on copies of the arguments, so any effect it has on them (training a model, writing into a
    cache) is lost as well.
    """

    @functools.wraps(function)
    def does_nothing(*args: Any, **kwargs: Any) -> Any:
        return emptied(function(*snapshot(args), **snapshot(kwargs)))

    return does_nothing


def emptied(value: Any) -> Any:
    """Return a value with 0 for each number in it and "" for each text; functions in it do nothing either."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.nn.Module):
        return _zero_weights(value)
    if torch is not None and isinstance(value, torch.Tensor):
        zeros = torch.zeros_like(value)  # with a gradient if there was one, but connected to nothing
        return zeros.requires_grad_().clone() if value.requires_grad else zeros
    if type(value) in (bool, int, float, complex, str):
        return type(value)()
    if isinstance(value, list | tuple):
        items = [emptied(item) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    if type(value) is dict:
        return {key: emptied(item) for key, item in value.items()}
    if hasattr(value, "__array__"):
        return value * 0
    return idle(value) if callable(value) else value


def _zero_weights(module: Any) -> Any:
    module = copy.deepcopy(module)
    for weight in (*module.parameters(), *module.buffers()):
        weight.detach().zero_()
    return module
