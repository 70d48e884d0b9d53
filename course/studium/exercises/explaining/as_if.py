"""Answers that do what the solution does with one argument changed, such as a flag inverted or a mask left out."""

import dataclasses
import inspect
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from studium.exercises.explaining.budget import Budget, can_interrupt
from studium.exercises.explaining.evidence import Case, Evidence, attempt
from studium.exercises.explaining.finding import Finding
from studium.exercises.explaining.values import array as as_array
from studium.exercises.explaining.values import distinct, is_tensor, parts, same

Change = Callable[[dict[str, Any]], dict[str, Any] | None]


def as_if(evidence: Evidence, tried: list[Case], budget: Budget) -> Finding | None:
    """Say which one change of an argument makes the solution do what the answer does, in wrong and right calls."""
    if not can_interrupt() or not enough(evidence.wrong + [case for case in tried if case.verdict == "wrong"]):
        return None
    cases = [*evidence.wrong, *tried, *evidence.right]
    found: dict[str, str] = {}
    for name, words, change in _changes(evidence):
        if budget.spent:
            break
        if all(attempt(budget, partial(_fits, evidence, case, change)) for case in cases):
            found.setdefault(name, words)
    if len(found) != 1:  # changes of two different arguments fit
        return None
    return Finding(f"Your function does what a right one does {next(iter(found.values()))}.", "as if")


def enough(cases: list[Case]) -> bool:
    """Return whether calls tell enough: two of them, or one with several different values; and none raised."""
    if any(case.call.observed.raised or case.right.raised for case in cases):
        return False
    values = [as_array(part.value) for case in cases for part in parts(case.right.result)]
    known = [value for value in values if value is not None]
    if all(value.size == 1 and value.dtype.kind in "biu" for value in known):  # few such results are possible
        return len(cases) >= 4 and len({value.item() for value in known}) >= 3
    return len(cases) >= 2 or any(distinct(value) >= 3 for value in known)


def _fits(evidence: Evidence, case: Case, change: Change) -> bool:
    known = evidence.named(case.call)
    changed = change(known) if known else None
    if changed is None:  # the change changes nothing here
        return case.verdict == "right"
    try:
        bound = inspect.signature(evidence.exercise.solution).bind_partial()
    except (TypeError, ValueError):
        return False
    bound.arguments.update(changed)
    call = dataclasses.replace(case.call, args=bound.args, kwargs=bound.kwargs)
    result = call.replay(evidence.exercise.solution)
    mine = case.call.observed
    return not result.raised and not mine.raised and same(result.result, mine.result)


def _changes(evidence: Evidence) -> Iterator[tuple[str, str, Change]]:
    """Return the changes that are tried: the arguments that they are about, in words, and the change itself."""
    if not evidence.wrong:
        return
    known = evidence.named(evidence.wrong[0].call)
    try:
        parameters = inspect.signature(evidence.exercise.solution).parameters
    except (TypeError, ValueError):
        return
    for name in known:
        for words, change in _OF_ONE:
            yield name, words.format(name), partial(_set, name, change)
        default = parameters[name].default
        if default is not inspect.Parameter.empty:
            yield name, f"with the default of `{name}`", partial(_set, name, lambda _, d=default: d)  # type: ignore[misc]
        yield name, f"where `{name}` is None", partial(_set, name, lambda _: None)
    names = list(known)
    for place, one in enumerate(names):
        for other in names[place + 1 :]:
            yield f"{one} {other}", f"with `{one}` and `{other}` exchanged", partial(_exchange, one, other)


def _set(name: str, change: Callable[[Any], Any], known: dict[str, Any]) -> dict[str, Any] | None:
    new = change(known[name])
    if new is _NOT_THIS or (type(new) is type(known[name]) and same(new, known[name])):
        return None
    return {**known, name: new}


def _exchange(one: str, other: str, known: dict[str, Any]) -> dict[str, Any] | None:
    if same(known[one], known[other]) and type(known[one]) is type(known[other]):
        return None
    return {**known, one: known[other], other: known[one]}


_NOT_THIS = object()


def _is_mask(value: Any) -> bool:
    return str(getattr(value, "dtype", "")).endswith("bool") and bool(getattr(value, "shape", ()))


def _by(step: int) -> Callable[[Any], Any]:
    return lambda value: value + step if type(value) is int else _NOT_THIS


def _without(kept: slice) -> Callable[[Any], Any]:
    def cut(value: Any) -> Any:
        has_items = isinstance(value, list | tuple | str) or bool(getattr(value, "shape", ()))
        return value[kept] if has_items and len(value) > 1 else _NOT_THIS

    return cut


def _transposed(value: Any) -> Any:
    if (is_tensor(value) or isinstance(value, np.ndarray)) and value.ndim >= 2:
        return value.swapaxes(-1, -2)
    return _NOT_THIS


_OF_ONE: tuple[tuple[str, Callable[[Any], Any]], ...] = (
    ("with `{}` inverted", lambda value: not value if isinstance(value, bool) else _NOT_THIS),
    ("with `{}` inverted", lambda value: ~value if _is_mask(value) else _NOT_THIS),
    ("where `{}` is all True", lambda value: value | ~value if _is_mask(value) else _NOT_THIS),
    ("where `{}` is one larger", _by(1)),
    ("where `{}` is one smaller", _by(-1)),
    ("without the first item of `{}`", _without(slice(1, None))),
    ("without the last item of `{}`", _without(slice(None, -1))),
    ("with `{}` transposed", _transposed),
)
