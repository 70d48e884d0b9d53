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
_heard_by: list[Callable[..., bool]] = []


def listen(note: Callable[..., bool]) -> None:
    """Have ``note`` called, and nobody else, where an operator leaves out a value.

    It hears whether both data have one shape, and tells whether they are to be taken by their places then.
    """
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
        apart = plain and (_leaves_out(value, other) or _leaves_out(other, value))
        by_place = apart and _heard_by[0](alike=value.shape == other.shape)
        return operator(value, _labelled_as(value, other)) if by_place else found

    return noting


def _labelled_as(value: Any, other: Any) -> Any:
    """Give the other data under the labels of the value, but for axes that have the same in another order."""
    for axis, (mine, theirs) in enumerate(zip(value.axes, other.axes, strict=True)):
        if not (mine.isin(theirs).all() and theirs.isin(mine).all()):
            other = other.set_axis(mine, axis=axis)
    return other


def _leaves_out(value: Any, other: Any) -> bool:
    """Tell whether a value, which is there, has a label that the other data do not have; a series meets columns."""
    axes = enumerate(zip(reversed(value.axes), reversed(other.axes), strict=False), 1)
    return any(
        not mine.equals(theirs) and bool(np.compress(~mine.isin(theirs), value.notna().to_numpy(), -axis).any())
        for axis, (mine, theirs) in axes
    )
