"""Exact relations between an answer's results and the right ones: they hold in every wrong call, or nothing is said."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from studium.exercises.explaining.arrangement import ends, reduced, shape
from studium.exercises.explaining.finding import Finding, Made, Pair, holds, rich
from studium.exercises.explaining.values import Array, equal_entries


def relation(pairs: list[Pair]) -> Finding | None:
    """Return the first relation that holds in every pair of a wrong value and the right one."""
    if not pairs:
        return None
    with np.errstate(all="ignore"):
        for find in (shape, opposite, changed_values, reduced, ends):
            text = find(pairs)
            if text:
                return Finding(text, "relation")
    return None


def opposite(pairs: list[Pair]) -> str:
    """A Boolean result that is True exactly where it should be False."""
    if not all(pair.right.dtype.kind == "b" and pair.mine.dtype.kind == "b" for pair in pairs):
        return ""
    mixed = any(pair.right.size >= 4 and len(np.unique(pair.right)) == 2 for pair in pairs)
    return "Yours is True exactly where it should be False." if mixed and holds(pairs, np.logical_not) else ""


def _softmax(value: Array) -> Array | None:
    if not value.ndim:
        return None
    raised = np.exp(value - value.max(-1, keepdims=True))
    return np.asarray(raised / raised.sum(-1, keepdims=True))


def _log_softmax(value: Array) -> Array | None:
    found = _softmax(value)
    return None if found is None else np.log(found)


def _unit(value: Array) -> Array | None:
    return value / np.linalg.norm(value, axis=-1, keepdims=True) if value.ndim else None


def _shares(value: Array) -> Array | None:
    return value / value.sum(-1, keepdims=True) if value.ndim else None


_FUNCTIONS: list[tuple[str, Made]] = [
    ("the negative", np.negative),
    ("the square", np.square),
    ("the square root", np.sqrt),
    ("the logarithm", np.log),
    ("the logarithm to base 2", np.log2),
    ("the exponential", np.exp),
    ("the reciprocal", np.reciprocal),
    ("1 minus", lambda value: 1 - value),
    ("the softmax", _softmax),
    ("the logarithm of the softmax", _log_softmax),
    ("the cumulative sum", lambda value: value.cumsum(-1) if value.ndim else None),
    ("the sigmoid", lambda value: 1 / (1 + np.exp(-value))),
    ("the tanh", np.tanh),
    ("the unit vector", _unit),
    ("what division by the sum makes", _shares),
]


def changed_values(pairs: list[Pair]) -> str:
    """The answer is a function of the right result, or the right result a function of the answer."""
    if not all(_is_real(pair) for pair in pairs) or not rich(pairs, 2):
        return ""
    floats = [_floats(pair) for pair in pairs]
    for name, function in _FUNCTIONS:
        if holds(floats, function):
            return f"Yours is {name} {'' if name == '1 minus' else 'of '}the right result."
        if name not in ("the negative", "1 minus", "the reciprocal") and holds(floats, function, back=True):
            return f"The right result is {name} of yours."
    return ""


def _is_real(pair: Pair) -> bool:
    return pair.mine.shape == pair.right.shape and {pair.mine.dtype.kind, pair.right.dtype.kind} <= set("iuf")


def _floats(pair: Pair) -> Pair:
    return pair._replace(mine=pair.mine.astype(np.float64), right=pair.right.astype(np.float64))


def places(pairs: list[Pair]) -> str:
    """Wrong exactly where the answer is NaN, infinite or 0, or where the right result is 0."""
    if not all(_is_real(pair) and pair.right.ndim for pair in pairs):
        return ""
    wrong = [~equal_entries(pair.mine, pair.right) for pair in pairs]
    if not any(0 < one.sum() < one.size for one in wrong):
        return ""
    for text, where in _PLACES:
        found = [where(_floats(pair)) for pair in pairs]
        if all((one == places).all() for one, places in zip(wrong, found, strict=True)) and _enough(wrong):
            return text
    return ""


def special_places(pairs: list[Pair]) -> Finding | None:
    """Return what is said of the places that are wrong, where better is not known."""
    with np.errstate(all="ignore"):
        text = places(pairs) if pairs else ""
    return Finding(text, "relation") if text else None


def _enough(wrong: list[Any]) -> bool:
    """Return whether some places are wrong and some right, and not just one."""
    return sum(int(one.sum()) for one in wrong) >= 2 and sum(int((~one).sum()) for one in wrong) >= 2


_PLACES: tuple[tuple[str, Callable[[Pair], Any]], ...] = (
    ("Right everywhere except where yours is NaN.", lambda pair: np.isnan(pair.mine)),
    ("Right everywhere except where yours is infinite.", lambda pair: np.isinf(pair.mine)),
    ("Right everywhere except where yours is 0.", lambda pair: pair.mine == 0),
    ("Right everywhere except where the result should be 0.", lambda pair: pair.right == 0),
)


def masked(pairs: list[Pair], masks: Callable[[Pair], Iterator[tuple[str, Array]]]) -> str:
    """Wrong exactly where a Boolean argument is True, or exactly where it is False."""
    if not all(pair.mine.shape == pair.right.shape and pair.right.ndim for pair in pairs):
        return ""
    wrong = [~equal_entries(pair.mine, pair.right) for pair in pairs]
    if not _enough(wrong):
        return ""
    for name in dict.fromkeys(name for name, _ in masks(pairs[0])):
        for value in (True, False):
            if all(_fits(one, dict(masks(pair)).get(name), value) for one, pair in zip(wrong, pairs, strict=True)):
                return f"Right everywhere except where `{name}` is {value}."
    return ""


def _fits(wrong: Any, mask: Array | None, value: bool) -> bool:
    if mask is None or mask.ndim > wrong.ndim or mask.shape != wrong.shape[: mask.ndim]:
        return False
    rows = wrong.reshape(*mask.shape, -1).any(-1)
    return bool((rows == (mask == value)).all())
