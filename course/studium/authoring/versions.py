"""Versions of a solution that compute the same but break one promise: another type or order, a changed argument."""

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from studium.exercises.model import AnyFunction


@dataclass
class Version:
    """A solution whose results go through ``change``; ``applied`` once that changed one of them."""

    function: AnyFunction
    change: Callable[[Any], Any]
    applied: bool = field(default=False, init=False)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        result = self._result(args, kwargs)
        changed = _mapped(result, self.change)
        self.applied = self.applied or changed is not result
        return changed

    def _result(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return self.function(*args, **kwargs)


@dataclass
class Tracked(Version):
    """A version whose solution gets arguments that require gradients, even if the test's own do not.

    ``change`` can then see that a result depends on its arguments, whether or not any test looks at a gradient.
    """

    def _result(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return super()._result(_mapped(args, _wanting), _mapped(kwargs, _wanting))


@dataclass
class Spoiler:
    """A solution that changes its argument ``name`` once it has its result."""

    function: AnyFunction
    name: str
    position: int
    applied: bool = field(default=False, init=False)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        result = self.function(*args, **kwargs)
        given = kwargs.get(self.name, args[self.position] if self.position < len(args) else None)
        if given is not result and not _holds(result, given):
            self.applied = _spoil(given) or self.applied
        return result


def results_as() -> dict[str, Callable[[Any], Any]]:
    """Return what to make of each result, by the version's name; a value that stays the same object does not apply."""
    if "torch" not in sys.modules:
        return {}
    import torch

    def floating(value: torch.Tensor) -> bool:
        return bool(value.is_floating_point())

    def tensors(test: Callable[[Any], bool], make: Callable[[Any], Any]) -> Callable[[Any], Any]:
        return lambda value: make(value) if isinstance(value, torch.Tensor) and test(value) else value

    return {
        "float": tensors(lambda t: t.dtype != torch.float32 and not t.is_complex(), lambda t: t.float()),
        "half": tensors(lambda t: floating(t) and t.dtype != torch.float16, lambda t: t.half()),
        "int": tensors(lambda t: t.dtype in (torch.bool, torch.long), lambda t: t.int()),
        "NumPy": tensors(lambda t: True, lambda t: t.detach().cpu().resolve_conj().numpy()),
        ".item()": tensors(lambda t: t.ndim == 0, lambda t: t.item()),
        "no_grad": tensors(lambda t: t.requires_grad, lambda t: t.detach()),
    }


def edges_exchanged(value: Any) -> Any:
    """Return NaN for each 0 of a result and 0 for each NaN, like an answer that ignores edge cases."""
    if type(value) in (int, float):
        return math.nan if value == 0 else 0.0 if math.isnan(value) else value
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(value, torch.Tensor) or not value.is_floating_point():
        return value
    zero, nan = value == 0, value.isnan()
    return value.masked_fill(nan, 0.0).masked_fill(zero, math.nan) if bool((zero | nan).any()) else value


def in_a_tuple(value: Any) -> Any:
    """Return a result as the only item of a tuple."""
    return (value,)


def reversed_order(value: Any) -> Any:
    """Return a list, tuple or table of several items in reverse order; any other value is returned as it is."""
    if type(value) in (list, tuple) and len(value) > 1:
        return type(value)(reversed(value))
    return dict(reversed(value.items())) if type(value) is dict and len(value) > 1 else value


def _wanting(value: Any) -> Any:
    """Return a copy of a tensor of numbers that requires a gradient and, not being a leaf, may be changed in place."""
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(value, torch.Tensor) or value.requires_grad or not value.is_floating_point():
        return value
    return value.detach().clone().requires_grad_().clone()


def _mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    """Change a value, or the items of a list, tuple or table; if nothing changes, the same object is returned."""
    changed = change(value)
    if changed is not value or type(value) not in (list, tuple, dict):
        return changed
    items = value.values() if type(value) is dict else value
    made = [_mapped(item, change) for item in items]
    if all(new is old for new, old in zip(made, items, strict=True)):
        return value
    return dict(zip(value, made, strict=True)) if type(value) is dict else type(value)(made)


def _holds(result: Any, given: Any) -> bool:
    """Return whether a result shares memory with an argument, as one that is changed on purpose does."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(given, torch.Tensor) and isinstance(result, torch.Tensor):
        return bool(given.untyped_storage().data_ptr() == result.untyped_storage().data_ptr())
    return type(result) in (list, tuple) and any(item is given or _holds(item, given) for item in result)


def _spoil(value: Any) -> bool:
    """Change a tensor or a list in place; return whether that was possible."""
    torch = sys.modules.get("torch")
    if type(value) is list:
        value.append(value[-1] if value else 0)
        return True
    if torch is None or not isinstance(value, torch.Tensor) or isinstance(value, torch.nn.Parameter):
        return False
    try:
        with torch.no_grad():
            value.logical_not_() if value.dtype == torch.bool else value.add_(1)
    except RuntimeError:  # an expanded tensor, or one made in inference mode
        return False
    return bool(value.numel())
