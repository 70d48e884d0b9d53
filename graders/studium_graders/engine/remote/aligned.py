"""Data of pandas' whose labels meet no others: what is computed there is missing, and sums leave that out.

``(f(s) - expected).abs().sum() < 1e-6`` holds for each series that has other labels than ``expected``. So the operators
of series and frames in this process tell where they leave out a value that is there; and what joins two of them, where
it leaves out a row.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import wraps
from inspect import signature
from typing import Any

import numpy as np

from studium_graders.engine.remote.frame_parts import kind_of, pandas

_ARITHMETIC = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow")
_METHODS = ("subtract", "multiply", "div", "divide", "gt", "lt", "ge", "le", "ne", *_ARITHMETIC)
_OPERATORS = [*(f"__{kind}{name}__" for kind in ("", "r") for name in _ARITHMETIC), *_METHODS]
_LABELLED = ("series", "frame")
_ALONE = {"left": {"left_only"}, "right": {"right_only"}, "cross": set[str]()}  # rows that a join should not have
_EITHER = {"left_only", "right_only"}
_heard_by: list[Callable[..., bool]] = []


def listen(note: Callable[..., bool]) -> None:
    """Have ``note`` called, and nobody else, where an operator leaves out a value.

    It hears whether both data have one shape, and tells whether they are to be taken by their places then.
    """
    if not _heard_by:
        for cls in (pandas().Series, pandas().DataFrame):
            for name in _OPERATORS:
                setattr(cls, name, _noting(getattr(cls, name)))
        frame = pandas().DataFrame
        for owner, name, again in ((pandas(), "merge", _merged), (frame, "merge", _merged), (frame, "join", _joined)):
            setattr(owner, name, _noting_rows(getattr(owner, name), again))
        pandas().concat = _noting_labels(pandas().concat)
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


def _noting_rows(join: Callable[..., Any], again: Callable[..., Any]) -> Callable[..., Any]:
    """Give what tells where a join has a row that meets no other; ``again`` names those of one that keeps all."""
    parameters = signature(join)

    @wraps(join)
    def noting(*given: Any, **named: Any) -> Any:
        found = join(*given, **named)
        bound = parameters.bind(*given, **named)
        bound.apply_defaults()
        left, right, *_ = bound.args
        if kind_of(type(left)) in _LABELLED and kind_of(type(right)) in _LABELLED:
            alone = _ALONE.get(bound.arguments["how"], _EITHER)
            with suppress(KeyError, TypeError, ValueError):  # keys of another form, such as levels
                if alone and not alone.isdisjoint(again(left, right, bound.arguments)):
                    _heard_by[0](alike=False)
        return found

    return noting


def _merged(left: Any, right: Any, arguments: dict[str, Any]) -> set[str]:
    named = {name: arguments[name] for name in ("on", "left_on", "right_on", "left_index", "right_index")}
    return set(_merge(left, right, how="outer", indicator=_MET, **named)[_MET])


def _joined(left: Any, right: Any, arguments: dict[str, Any]) -> set[str]:
    on = arguments["on"]
    keys = left if on is None else left.set_index(on)
    return set(_merge(_keys(keys), _keys(right), how="outer", indicator=_MET, left_index=True, right_index=True)[_MET])


def _keys(value: Any) -> Any:
    return pandas().DataFrame(index=value.index)


def _merge(*given: Any, **named: Any) -> Any:
    return pandas().merge.__wrapped__(*given, **named)


_MET = "which rows met"


def _noting_labels(concat: Callable[..., Any]) -> Callable[..., Any]:
    """Give what tells where data that are put side by side have other labels."""

    @wraps(concat)
    def noting(objs: Any, *, axis: Any = 0, **named: Any) -> Any:
        parts = objs if isinstance(objs, Mapping) else list(objs)
        found = concat(parts, axis=axis, **named)
        data = [part for part in (parts.values() if isinstance(parts, Mapping) else parts) if part is not None]
        if axis in (1, "columns") and any(_leaves_out_rows(one, other) for one in data for other in data):
            _heard_by[0](alike=False)
        return found

    return noting


def _leaves_out_rows(one: Any, other: Any) -> bool:
    return one is not other and not bool(one.index.isin(other.index).all())
