"""Vacuous answers: nobody would call them answers, but made from a right one they show which tests let them pass.

If a test passes with NaN, with an empty list or with its own arguments, its author should know; answers do not lose
marks for it.
"""

import contextlib
import math
from collections.abc import Callable, Iterable
from typing import Any

Answer = Callable[..., Any]


def _constant(value: Any) -> Callable[[Answer], Answer]:
    """Return something that makes a function returning a constant."""
    return lambda _: lambda *args, **kwargs: list(value) if isinstance(value, list) else value


def _first(_: Answer) -> Answer:
    return lambda *args, **kwargs: next(iter((*args, *kwargs.values())), None)


def _emptied(_: Answer) -> Answer:
    """Return something that empties its arguments in place and returns them: a test may compare with them."""

    def answer(*args: Any, **kwargs: Any) -> Any:
        given = (*args, *kwargs.values())
        for value in given:
            with contextlib.suppress(Exception):
                value.clear() if hasattr(value, "clear") else value.__setitem__(slice(None), 0)
        return 0.0 if given and hasattr(given[0], "dtype") else next(iter(given), None)

    return answer


def _narrow(solution: Answer) -> Answer:
    """Return the right answer in half precision."""

    def answer(*args: Any, **kwargs: Any) -> Any:
        found = solution(*args, **kwargs)
        with contextlib.suppress(AttributeError, TypeError, ValueError):
            return found.half() if hasattr(found, "half") else found.astype("float16")
        return None  # the right answer itself would pass every test

    return answer


def _more(solution: Answer) -> Answer:
    """Return the right answer with more than was requested."""

    def answer(*args: Any, **kwargs: Any) -> Any:
        found = solution(*args, **kwargs)
        if isinstance(found, list | tuple):
            return type(found)([*found, *found[:1]])
        return {**found, "more": None} if isinstance(found, dict) else None

    return answer


def _many(_: Answer) -> Answer:
    """Return so many numbers that one of them is right."""

    def answer(*args: Any, **kwargs: Any) -> Any:
        import numpy as np

        return np.arange(-1000, 1000)

    return answer


def _no_elements(_: Answer) -> Answer:
    def answer(*args: Any, **kwargs: Any) -> Any:
        import numpy as np

        return np.zeros(0)

    return answer


def _raising(_: Answer) -> Answer:
    def answer(*args: Any, **kwargs: Any) -> Any:
        raise ValueError("a vacuous answer")

    return answer


VACUOUS: dict[str, Callable[[Answer], Answer]] = {
    "None": _constant(None),
    "NaN": _constant(math.nan),
    "zero": _constant(0),
    "True": _constant(True),
    "an empty list": _constant([]),
    "an empty text": _constant(""),
    "an empty array": _no_elements,
    "two thousand numbers": _many,
    "its first argument": _first,
    "its arguments emptied": _emptied,
    "an exception": _raising,
    "the right answer in half precision": _narrow,
    "the right answer and more": _more,
}
"""What turns a right function into a vacuous one, by what the latter returns."""


def vacuous(kind: str, right: Any) -> Any:
    """Return a vacuous answer instead of a right one: for a function, a class, or a value."""
    make = VACUOUS[kind]
    if isinstance(right, type):
        return _vacuous_class(right, make)
    if callable(right):
        return make(right)
    with contextlib.suppress(ValueError):
        return make(lambda: right)()
    return None


def _vacuous_class(right: type, make: Callable[[Answer], Answer]) -> type:
    """Return a class whose methods are all vacuous functions; other attributes keep their values."""
    names = [name for base in right.__mro__[:-1] for name in vars(base) if not name.startswith("__")]
    own: dict[str, Any] = {name: _vacuous_part(getattr(right, name), make) for name in names}
    more = ("__len__", "__iter__", "__getitem__", "__call__", "__contains__", "__add__", "__setitem__")
    own |= {name: make(getattr(right, name)) for name in more if hasattr(right, name)}
    own |= {"__eq__": lambda self, other: True, "__hash__": lambda self: 0}
    own["__init__"] = lambda self, *args, **kwargs: None
    own["__getattr__"] = lambda self, name: make(lambda: None)()
    return type(right.__name__, (), own)


def _vacuous_part(right: Any, make: Callable[[Answer], Answer]) -> Any:
    return make(right) if callable(right) else property(lambda self: make(lambda: None)())


def table(passing: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Return, by test, the vacuous answers that pass it; ``passing`` are pairs of test and kind."""
    found: dict[str, list[str]] = {}
    for test, kind in passing:
        found.setdefault(test, []).append(kind)
    return found
