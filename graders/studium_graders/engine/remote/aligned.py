"""Data of pandas' whose labels meet no others: what is computed there is missing, and sums leave that out.

``(f(s) - expected).abs().sum() < 1e-6`` holds for each series that has other labels than ``expected``. So the operators
of series and frames in this process tell where they leave out a value that is there.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np

from studium_graders.engine.remote.frame_parts import kind_of, pandas

_ARITHMETIC = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow")
_METHODS = ("subtract", "multiply", "div", "divide", "gt", "lt", "ge", "le", "ne", *_ARITHMETIC)
_OPERATORS = [*(f"__{kind}{name}__" for kind in ("", "r") for name in _ARITHMETIC), *_METHODS]
_LABELLED = ("series", "frame")
_heard_by: list[Callable[[], None]] = []


def listen(note: Callable[[], None]) -> None:
    """Have ``note`` called, and nobody else, where an operator leaves out a value."""
    if not _heard_by:
        for cls in (pandas().Series, pandas().DataFrame):
            for name in _OPERATORS:
                setattr(cls, name, _noting(getattr(cls, name)))
    _heard_by[:] = [note]


def _noting(operator: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(operator)
    def noting(value: Any, other: Any, *more: Any, **named: Any) -> Any:
        found = operator(value, other, *more, **named)
        plain = kind_of(type(other)) in _LABELLED and not (more or named)  # else it may be told what to fill in
        if plain and (_leaves_out(value, other) or _leaves_out(other, value)):
            _heard_by[0]()
        return found

    return noting


def _leaves_out(value: Any, other: Any) -> bool:
    """Tell whether a value, which is there, has a label that the other data do not have; a series meets columns."""
    axes = enumerate(zip(reversed(value.axes), reversed(other.axes), strict=False), 1)
    return any(
        not mine.equals(theirs) and bool(np.compress(~mine.isin(theirs), value.notna().to_numpy(), -axis).any())
        for axis, (mine, theirs) in axes
    )
