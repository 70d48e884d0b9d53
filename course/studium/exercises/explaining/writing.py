"""Writing a call and its results down in a line: `f(x=[[2.]], k=1)`; what is large is told by its shape."""

import inspect
import re
import reprlib
from typing import Any

from studium.exercises.comparison import difference
from studium.exercises.explaining.failed_test import described
from studium.exercises.explaining.values import array, is_tensor
from studium.exercises.model import AnyFunction
from studium.exercises.observation import Call, Observation, comparable

MOST = 12  # of a value that is written out
_LONGEST = 160


def written_call(function: AnyFunction, call: Call, most: int = MOST) -> str:
    """Return a call as code, its arguments by name; of what has more than ``most`` numbers the shape."""
    try:
        given = inspect.signature(function).bind(*call.args, **call.kwargs).arguments
    except (TypeError, ValueError):
        given = {**{f"argument {n}": value for n, value in enumerate(call.args, 1)}, **call.kwargs}
    inside = ", ".join(f"{name}={written(value, most)}" for name, value in given.items())
    return f"{getattr(function, '__name__', 'f')}({inside})"


def written(value: Any, most: int = MOST) -> str:
    """Return a value as a learner would type it: a small tensor as a list, a large one as its shape."""
    numbers = array(value)
    if numbers is not None and numbers.ndim == 0:
        text = _number(numbers.item())
        return f"{text}0" if text.endswith(".") else text
    if numbers is not None:
        return _listed(numbers.tolist()) if numbers.size <= most else f"<shape {tuple(numbers.shape)}>"
    if isinstance(value, list | tuple):
        most = max(1, most // max(1, len(value)))
        inside = ", ".join(written(item, most) for item in value[:MOST]) + (", …" if len(value) > MOST else "")
        comma = "," if isinstance(value, tuple) and len(value) == 1 else ""
        return f"[{inside}]" if isinstance(value, list) else f"({inside}{comma})"
    if isinstance(value, dict):
        return (
            "{"
            + ", ".join(f"{key!r}: {written(inner, most // 2)}" for key, inner in list(value.items())[:4])
            + (", …}" if len(value) > 4 else "}")
        )
    if value is None or isinstance(value, str | bytes):
        return reprlib.repr(value)
    return f"<{described(value)}>"


def _listed(value: Any) -> str:
    return f"[{', '.join(map(_listed, value))}]" if isinstance(value, list) else _number(value)


def _number(value: Any) -> str:
    if not isinstance(value, float):
        return str(value)
    text = f"{value:.4g}"
    return f"{text}." if text.lstrip("-").isdigit() else text


def outcomes(call: Call, right: Observation, most: int = MOST) -> str:
    """Say what a call gives and should give: " gives 3 and should give 2", or ": at index [0] expected 2, got 3"."""
    observed = call.observed
    if observed.raised:
        return f" raises {observed.raised.__name__}{_should(right)}"
    if right.raised:
        return f" gives {written(observed.result)} and should raise {right.raised.__name__}"
    gives, should = written(observed.result, most), written(right.result, most)
    if gives == should:
        return _kinds(observed, right) or _difference(call, right)
    if len(gives) + len(should) > _LONGEST or "<" in gives + should:
        return _difference(call, right)
    return f" gives {gives} and should give {should}"


def _should(right: Observation) -> str:
    text = written(right.result)
    return f" and should give {text}" if len(text) <= _LONGEST else ""


def _kinds(observed: Observation, right: Observation) -> str:
    one, other = described(observed.result), described(right.result)
    if is_tensor(observed.result) and is_tensor(right.result) and one == other:
        return ""
    return f" gives {one} and should give {other}" if one != other else ""


def _difference(call: Call, right: Observation) -> str:
    found = difference(call.observed.result, right.result)
    return re.sub(r" \(\d+ of \d+ values differ.*\)$", "", f": {found}") if found else _changes(call, right)


def _changes(call: Call, right: Observation) -> str:
    """Say what became of the arguments, where a right answer leaves them in another state."""
    if not difference(call.observed.arguments, right.arguments):
        return ""
    before = comparable(call.args, call.kwargs)
    if not difference(call.observed.arguments, before):
        return " should change an argument and does not"
    return " changes an argument" if not difference(right.arguments, before) else " changes an argument in a wrong way"
