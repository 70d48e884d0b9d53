"""An answer that changes what it is given: the argument, and what became of it.

A test computes what it expects from the same arguments as a rule, so that its own message would mislead.
"""

import inspect
import re
from collections.abc import Iterator
from typing import Any

from studium.comparison import difference
from studium.exercises import AnyFunction, Exercise
from studium.observation import Call, comparable

_PAIR = re.compile(r"expected (.*?), got ", re.DOTALL)


def changed_argument(exercise: Exercise, calls: list[Call]) -> str:
    """Return a sentence about the first argument that the calls changed and the solution leaves alone, or "".

    It is "" in the public edition, of which the solution is not known.
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
            name = _names(exercise.solution, call)[number]
            became = _PAIR.sub(r"it was \1 and is now ", found, count=1)
            yield f"{exercise.id} changed its argument `{name}`, which must stay as it is: {became}"


def _names(function: AnyFunction, call: Call) -> list[str]:
    """Return the names of the arguments that can be compared, in their order."""
    parameters = list(inspect.signature(function).parameters)
    named = [*zip(_positional(parameters, len(call.args)), call.args, strict=True), *call.kwargs.items()]
    return [name for name, value in named if comparable((value,), {})]


def _positional(parameters: list[str], count: int) -> list[Any]:
    return [*parameters[:count], *(f"number {number + 1}" for number in range(len(parameters), count))]
