"""When an answer fails: said only where putting one argument of a right call into a wrong call makes it right."""

import dataclasses
import inspect
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from studium.exercises.explaining.budget import Budget, can_interrupt
from studium.exercises.explaining.evidence import Case, Evidence, alike, attempt
from studium.exercises.explaining.finding import Finding
from studium.exercises.observation import Call

_PAIRS = 4  # crossings of a wrong call with a right one
Feature = Callable[[Any], bool]


def condition(evidence: Evidence, tried: list[Case], budget: Budget) -> Finding | None:
    """Return the sentence about the argument that alone decides whether the answer is right."""
    wrong = [case for case in (*evidence.wrong, *tried) if case.verdict == "wrong"]
    right = [case for case in (*evidence.right, *tried) if case.verdict == "right"]
    if evidence.function is None or not can_interrupt() or len(wrong) < 2 or len(right) < 2:
        return None
    for name, words, test in _features(evidence, wrong, right):
        if budget.spent:
            return None
        if _confirmed(evidence, name, test, (wrong, right), budget):
            return Finding(f"Wrong only where {words}.", "condition", values="'" in words or words[-1] in "01")
    return None


def _features(
    evidence: Evidence, wrong: list[Case], right: list[Case]
) -> Iterator[tuple[str, str, Callable[[dict[str, Any]], bool]]]:
    """Return the features of one argument that separate wrong calls from right ones."""
    known = [[evidence.named(case.call) for case in cases] for cases in (wrong, right)]
    for name in known[0][0]:
        for words, feature in _candidates(name, known[0][0][name]):
            test = partial(_has, name, feature)
            if all(map(test, known[0])) and not any(map(test, known[1])):
                yield name, words, test


def _has(name: str, feature: Feature, known: dict[str, Any]) -> bool:
    return name in known and feature(known[name])


def _candidates(name: str, value: Any) -> Iterator[tuple[str, Feature]]:
    """Return what a condition may be about: a flag, None, a string, a size of 1 or 0, the number of axes."""
    if isinstance(value, bool):
        yield f"`{name}` is {value}", lambda one: one is value
    elif value is None:
        yield f"`{name}` is None", lambda one: one is None
    elif isinstance(value, str):
        yield f"`{name}` is {value!r}", lambda one: isinstance(one, str) and one == value
    elif isinstance(value, int):
        for number in (0, 1):
            if value == number:
                yield f"`{name}` is {number}", lambda one, n=number: type(one) is int and one == n  # type: ignore[misc]
    else:
        yield f"`{name}` is given", lambda one: one is not None
        shape = getattr(value, "shape", None)
        if shape is None and isinstance(value, list | tuple):
            shape = (len(value),)
        for axis, size in enumerate(shape or ()):
            if size <= 1:
                words = f"`{name}` is empty" if not size else _of_one(name, axis, len(shape))  # type: ignore[arg-type]
                yield words, partial(_is_of, axis, size)


def _of_one(name: str, axis: int, count: int) -> str:
    return f"`{name}` has one item" if count == 1 else f"axis {axis} of `{name}` has size 1"


def _is_of(axis: int, size: int, value: Any) -> bool:
    shape = getattr(value, "shape", None) or ((len(value),) if isinstance(value, list | tuple) else ())
    return len(shape) > axis and shape[axis] == size


def _confirmed(
    evidence: Evidence,
    name: str,
    test: Callable[[dict[str, Any]], bool],
    cases: tuple[list[Case], list[Case]],
    budget: Budget,
) -> bool:
    """Return whether the argument of a right call turns each wrong call right, where the solution still runs."""
    crossed = 0
    for bad in cases[0][:_PAIRS]:
        for good in cases[1][:_PAIRS]:
            call = _crossed(evidence, name, bad.call, good.call)
            found = attempt(budget, partial(_is_right, evidence, call)) if call else None
            if found is False:
                return False
            crossed += bool(found)
    return crossed >= 2


def _crossed(evidence: Evidence, name: str, bad: Call, good: Call) -> Call | None:
    known, other = evidence.named(bad), evidence.named(good)
    if name not in known or name not in other:
        return None
    bound = inspect.signature(evidence.exercise.solution).bind_partial()
    bound.arguments.update({**known, name: other[name]})
    return dataclasses.replace(bad, args=bound.args, kwargs=bound.kwargs)


def _is_right(evidence: Evidence, call: Call) -> bool | None:
    """Return whether the answer is right in a call, None where no right answer runs or they differ."""
    right = call.replay(evidence.exercise.solution)
    if right.raised or not all(alike(call.replay(one), right) for one in evidence.exercise.alternatives):
        return None
    assert evidence.function is not None
    return alike(call.replay(evidence.function), right)
