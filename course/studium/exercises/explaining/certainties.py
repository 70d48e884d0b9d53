"""What can be said of an answer for certain and at no cost: its arguments, and what kind of result it returns."""

import dis
import inspect
from collections.abc import Callable, Iterator
from types import CodeType, FunctionType
from typing import Any

import numpy as np

from studium.exercises.changed_arguments import changed_argument
from studium.exercises.explaining.evidence import Case, Evidence
from studium.exercises.explaining.finding import ORDINALS, Finding
from studium.exercises.explaining.values import array, close, is_tensor, same
from studium.exercises.model import AnyFunction

_READS = ("LOAD_FAST", "LOAD_DEREF", "LOAD_CLASSDEREF", "LOAD_FAST_CHECK")


def changed(evidence: Evidence) -> Finding | None:
    """Say which argument the answer changes, where the solution leaves it alone."""
    calls = [case.call for case in evidence.cases if not case.passed]
    found = changed_argument(evidence.exercise, calls).partition(": ")[0]
    _, _, rest = found.partition(" changed its argument ")
    return Finding(f"Your function changes its argument {rest}.", "changed argument") if rest else None


def unused(evidence: Evidence, answer: AnyFunction) -> Finding | None:
    """Say which argument the answer's code never reads, where all right answers read it."""
    own, wanted = _parameters(answer), _parameters(evidence.exercise.solution)
    if not own or not wanted or len(own) != len(wanted):
        return None
    others = [_parameters(other) for other in evidence.exercise.alternatives]
    for place, (name, is_read) in enumerate(own.items()):
        known = [list(one.values()) for one in (wanted, *others) if one]
        if not is_read and all(len(one) > place and one[place] for one in known):
            return Finding(f"Your function never uses its argument `{name}`.", "unused argument")
    return None


def _parameters(function: AnyFunction) -> dict[str, bool]:
    """Return the parameters of a function and whether its code reads them; {} where that cannot be known."""
    function = inspect.unwrap(function)
    if not isinstance(function, FunctionType):
        return {}
    code = function.__code__
    if code.co_flags & (inspect.CO_VARARGS | inspect.CO_VARKEYWORDS) or "locals" in code.co_names:
        return {}
    read = set(_read(code))
    count = code.co_argcount + code.co_kwonlyargcount
    return {name: name in read for name in code.co_varnames[:count]}


def _read(code: CodeType) -> Iterator[str]:
    for step in dis.get_instructions(code):
        if step.opname in _READS:
            yield step.argval
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _read(inner)


def detached(evidence: Evidence) -> Finding | None:
    """Say that right values come without their gradient, or in another dtype."""
    failed = [case for case in evidence.cases if not case.passed]
    if any(case.verdict == "wrong" for case in failed):
        return None
    for flag, say in ((_lost_gradient, _says_detached), (_other_dtype, _says_dtype)):
        flagged = [case for case in failed if flag(case)]
        if flagged and not any(flag(case) for case in evidence.cases if case.passed):
            return Finding(say(flagged[0]), flag.__name__.strip("_").replace("_", " "))
    return None


def _lost_gradient(case: Case) -> bool:
    mine, right = case.call.observed.result, case.right.result
    return case.verdict == "right" and is_tensor(mine) and is_tensor(right) and right.requires_grad > mine.requires_grad


def _says_detached(case: Case) -> str:
    return "Your values are right, but the result is cut off from its arguments, so no gradient can reach them."


def _other_dtype(case: Case) -> bool:
    mine, right = case.call.observed.result, case.right.result
    both = hasattr(mine, "dtype") and hasattr(right, "dtype")
    return case.verdict == "right" and both and str(mine.dtype) != str(right.dtype)


def _says_dtype(case: Case) -> str:
    own, wanted = (str(one.dtype).removeprefix("torch.") for one in (case.call.observed.result, case.right.result))
    return f"Your values are right, but in {own} where {wanted} is expected."


def kind(evidence: Evidence) -> Finding | None:
    """Say what is wrong with the kind of result in every wrong call: nothing, a list, one part of several."""
    cases = evidence.plain
    if not cases or len(cases) < len(evidence.wrong):
        return None
    for test, text, name in _KINDS:
        if all(test(case.call.observed.result, case.right.result) for case in cases):
            return Finding(text, name)
    return _one_part(cases) or _exchanged(cases)


def _is_other_type(mine: Any, right: Any) -> bool:
    one, other = _loose(mine), _loose(right)
    return one is not None and other is not None and type(mine) is not type(right) and close(one, other)


def _loose(value: Any) -> Any:
    if isinstance(value, list | tuple):
        try:
            found = np.asarray([array(item) for item in value])
        except (TypeError, ValueError):
            return None
        return found if found.dtype.kind in "biufc" else None
    return array(value)


_KINDS: list[tuple[Callable[[Any, Any], bool], str, str]] = [
    (
        lambda mine, right: mine is None and right is not None,
        "Your function returns None: is a `return` missing?",
        "type",
    ),
    (
        lambda mine, right: isinstance(mine, list | tuple) and len(mine) == 1 and same(mine[0], right),
        "Your function puts the right result into a tuple or list; return the result itself.",
        "type",
    ),
    (
        lambda mine, right: (
            isinstance(mine, tuple) and len(mine) > 1 and not isinstance(right, list | tuple) and same(mine[0], right)
        ),
        "Your function returns the right result together with more; return only the first.",
        "type",
    ),
    (
        _is_other_type,
        "Your function returns the right values as another type.",
        "type",
    ),
]


def _one_part(cases: list[Case]) -> Finding | None:
    results = [(case.call.observed.result, case.right.result) for case in cases]
    if not all(isinstance(right, tuple) and 1 < len(right) <= len(ORDINALS) for _, right in results):
        return None
    for place in range(min(len(right) for _, right in results)):
        if all(not isinstance(mine, tuple) and same(mine, right[place]) for mine, right in results):
            count = len(results[0][1])
            return Finding(f"Your function returns only the {ORDINALS[place]} of {count} results.", "type")
    return None


def _exchanged(cases: list[Case]) -> Finding | None:
    results = [(case.call.observed.result, case.right.result) for case in cases]
    if not all(isinstance(m, list | tuple) and isinstance(r, tuple) and len(m) == len(r) for m, r in results):
        return None
    count = min(len(right) for _, right in results)
    for one in range(count):
        for other in range(one + 1, count):
            if all(same(_swapped(list(mine), one, other), list(right)) for mine, right in results):
                which = "two results" if count == 2 else f"{ORDINALS[one]} and {ORDINALS[other]} results"
                return Finding(f"Your {which} are exchanged.", "parts exchanged")
    return None


def _swapped(items: list[Any], one: int, other: int) -> list[Any]:
    items[one], items[other] = items[other], items[one]
    return items
