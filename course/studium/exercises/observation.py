"""Recording what a learner's function was given and what it did, so that a mistake can be recognised by its effect."""

import copy
import functools
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from studium.exercises.comparison import difference
from studium.exercises.model import AnyFunction

# "merge() takes 2 positional arguments", "<Adapter object at 0x7f…>": the function's own name, and addresses.
_PRIVATE = re.compile(r"^[\w.<>]+(?=\(\))|\b0x[0-9a-f]+\b")


@dataclass(frozen=True)
class Observation:
    """What one call did: its result or its exception, and what it left in its arguments.

    ``said`` is the exception's text without what differs from one function or run to the next.
    """

    result: Any
    raised: type[BaseException] | None
    arguments: Any
    said: str = ""

    def matches(self, other: "Observation") -> bool:
        """Return whether two calls had the same effect; exceptions are the same where type and text are."""
        if self.raised or other.raised:
            return self.raised is other.raised and self.said == other.said
        return not difference(self.result, other.result) and not difference(self.arguments, other.arguments)


@dataclass(frozen=True)
class Call:
    """The arguments of one call as they were before it, and what the learner's function did with them."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    random_state: Any
    recorded_gradients: bool
    observed: Observation

    def replay(self, function: AnyFunction) -> Observation:
        """Observe another function on the same arguments, with the same random numbers and in the same grad mode."""
        torch = sys.modules.get("torch")
        if torch is None:
            return observe(function, snapshot(self.args), snapshot(self.kwargs))
        with torch.random.fork_rng(devices=[]), torch.set_grad_enabled(self.recorded_gradients):
            torch.set_rng_state(self.random_state)
            return observe(function, snapshot(self.args), snapshot(self.kwargs))


@dataclass
class Recorder:
    """Wraps a function so that each call is recorded."""

    function: AnyFunction
    calls: list[Call] = field(default_factory=list)

    def wrapped(self) -> AnyFunction:
        """Return the function to hand to a test: it behaves as the learner's own and records its calls."""

        @functools.wraps(self.function)
        def recorded(*args: Any, **kwargs: Any) -> Any:
            before = snapshot(args), snapshot(kwargs)
            torch = sys.modules.get("torch")
            modes: tuple[Any, bool] = (None, False)
            if torch is not None:
                modes = torch.get_rng_state(), torch.is_grad_enabled()
            try:
                result = self.function(*args, **kwargs)
            except BaseException as error:
                self.calls.append(Call(*before, *modes, _observation(None, error, args, kwargs)))
                raise
            self.calls.append(Call(*before, *modes, _observation(result, None, args, kwargs)))
            return result

        return recorded


def observe(function: AnyFunction, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Observation:
    """Call a function and tell what it did; an exception is an observation too."""
    try:
        result = function(*args, **kwargs)
    except Exception as error:
        return _observation(None, error, args, kwargs)
    return _observation(result, None, args, kwargs)


def snapshot(value: Any) -> Any:
    """Copy a value deeply; what cannot be copied (a function, a spy) stays itself.

    Shared references stay shared, so that a function which compares identities sees the same picture.
    """
    return _copy(value, {})


def _copy(value: Any, memo: dict[int, Any]) -> Any:
    torch = sys.modules.get("torch")
    if isinstance(value, tuple) and type(value) is tuple:
        return tuple(_copy(item, memo) for item in value)
    if type(value) is list:
        return [_copy(item, memo) for item in value]
    if type(value) is dict:
        return {key: _copy(item, memo) for key, item in value.items()}
    if torch is not None and isinstance(value, torch.Generator):
        return memo.setdefault(id(value), value.clone_state())
    if torch is not None and isinstance(value, torch.Tensor) and not isinstance(value, torch.nn.Parameter):
        return memo.setdefault(id(value), value.detach().clone().requires_grad_(value.requires_grad))
    try:
        return copy.deepcopy(value, memo)
    except Exception:
        return value


def _observation(
    result: Any, error: BaseException | None, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Observation:
    raised = None if error is None else type(error)
    left = snapshot(comparable(args, kwargs))
    return Observation(snapshot(result), raised, left, "" if error is None else _said(error))


def comparable(args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
    """Return the arguments without what cannot be compared by content: functions and random generators."""
    return [_transparent(value) for value in (*args, *kwargs.values()) if not _opaque(value)]


def _transparent(value: Any) -> Any:
    if type(value) is list or type(value) is tuple:
        return type(value)(_transparent(item) for item in value if not _opaque(item))
    if type(value) is dict:
        return {key: _transparent(item) for key, item in value.items() if not _opaque(item)}
    return value


def _said(error: BaseException) -> str:
    try:
        return _PRIVATE.sub("", str(error))
    except Exception:  # the __str__ of a learner's class may do anything
        return ""


def _opaque(value: Any) -> bool:
    torch = sys.modules.get("torch")
    return (isinstance(value, Callable) and not _is_module(torch, value)) or _is_generator(torch, value)  # type: ignore[arg-type]


def _is_module(torch: Any, value: Any) -> bool:
    return torch is not None and isinstance(value, torch.nn.Module)


def _is_generator(torch: Any, value: Any) -> bool:
    return torch is not None and isinstance(value, torch.Generator)
