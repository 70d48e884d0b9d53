"""Answers that change what they are given: find the argument, and what happened to it.

A test usually computes what it expects from the same arguments, so its own message would be misleading.
"""

import functools
import inspect
import re
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from studium.exercises.comparison import difference
from studium.exercises.model import AnyFunction, Exercise
from studium.exercises.observation import Call, comparable, snapshot

_PAIR = re.compile(r"expected (.*?), got ", re.DOTALL)


def changed_argument(exercise: Exercise, calls: list[Call]) -> str:
    """Return a sentence about the first argument that the calls changed but the solution leaves alone, or "".

    It is "" in the public edition, where the solution is not known.
    """
    if exercise.public:
        return ""
    return next((found for call in calls for found in _changed(exercise, call)), "")


def _changed(exercise: Exercise, call: Call) -> Iterator[str]:
    before = comparable(call.args, call.kwargs)
    changes = [
        (number, found)
        for number, (now, then) in enumerate(zip(call.observed.arguments, before, strict=True))
        if (found := difference(now, then))
    ]
    if not changes:
        return
    kept = call.replay(exercise.solution).arguments
    for number, found in changes:
        if not difference(kept[number], before[number]):
            yield _said(exercise.id, _names(exercise.solution, call)[number], found)


def keeps_arguments(function: AnyFunction, mutates_args: Collection[str] = ()) -> AnyFunction:
    """Return a function that behaves the same, but fails with a sentence if it changes one of its arguments.

    Arguments named in ``mutates_args`` may change. The cell of a test registered with ``mutates_args`` calls this.
    """
    parameters = list(inspect.signature(function).parameters)
    return functools.wraps(function)(keeping(function, function.__name__, parameters, mutates_args))


def keeping(function: AnyFunction, name: str, parameters: Sequence[str], mutates_args: Collection[str]) -> AnyFunction:
    """Do the same for a function that may be in another process: nothing is asked of it, it is only called."""

    def kept(*args: Any, **kwargs: Any) -> Any:
        named = list(_named(parameters, args, kwargs))
        before = [snapshot(comparable((value,), {})) for _, value in named]
        result = function(*args, **kwargs)
        for (argument, value), then in zip(named, before, strict=True):
            if argument not in mutates_args and (found := difference(comparable((value,), {}), then)):
                raise AssertionError(_said(name, argument, found.removeprefix("at item 0: ")))
        return result

    return kept


def _said(function: str, name: str, found: str) -> str:
    became = _PAIR.sub(r"it was \1 and is now ", found, count=1)
    return f"{function} changed its argument `{name}`, which must stay as it is: {became}"


def _names(function: AnyFunction, call: Call) -> list[str]:
    """Return the names of the arguments that can be compared, in order."""
    named = _named(list(inspect.signature(function).parameters), call.args, call.kwargs)
    return [name for name, value in named if comparable((value,), {})]


def _named(parameters: Sequence[str], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    yield from zip(_positional(parameters, len(args)), args, strict=True)
    yield from kwargs.items()


def _positional(parameters: Sequence[str], count: int) -> list[Any]:
    return [*parameters[:count], *(f"number {number + 1}" for number in range(len(parameters), count))]
