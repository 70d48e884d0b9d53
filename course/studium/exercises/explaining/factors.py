"""A factor or offset between an answer's results and the right ones, by its name where an argument or size has it."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from studium.exercises.explaining.evidence import Evidence
from studium.exercises.explaining.finding import Finding, Pair, recorded
from studium.exercises.explaining.values import array, close, distinct, is_tensor

_EXACT = 2e-5
_FORMS: tuple[tuple[str, Callable[[float], float]], ...] = (
    ("{}", lambda v: v),
    ("the square root of {}", math.sqrt),
    ("the square of {}", lambda v: v * v),
)
_OFFSETS: tuple[tuple[str, Callable[[float], float]], ...] = (*_FORMS, ("{} - 1", lambda v: v - 1))


def factor(evidence: Evidence, pairs: list[Pair]) -> Finding | None:
    """Say by what the right result must be multiplied, divided or moved to give the answer's, in every wrong call."""
    if not pairs or not all(_is_real(pair) for pair in pairs) or not _various(recorded(pairs)):
        return None
    with np.errstate(all="ignore"):
        offsets = _each(pairs, lambda mine, right: mine - right)
        factors = _each(pairs, lambda mine, right: mine / right)
    if found := _named(evidence, pairs, offsets, factors):
        return Finding(found, "relation")
    text = _constant(pairs, offsets, factors) or (_whole(factors) if factors else "")
    return Finding(text, "relation", values=True) if text else None


def _is_real(pair: Pair) -> bool:
    return pair.mine.shape == pair.right.shape and {pair.mine.dtype.kind, pair.right.dtype.kind} <= set("iuf")


def _various(pairs: list[Pair]) -> bool:
    """Return whether the answer's values differ among themselves, and the right ones too: a constant fits anything."""
    return all(distinct(np.concatenate([getattr(p, side).ravel() for p in pairs])) >= 2 for side in ("mine", "right"))


def _each(pairs: list[Pair], made: Callable[[Any, Any], Any]) -> list[float] | None:
    """Return the one number that ``made`` gives in all entries of each pair, None where it gives several."""
    found = []
    for pair in pairs:
        mine, right = pair.mine.astype(np.float64), pair.right.astype(np.float64)
        values = made(mine, right).ravel()
        kept = values[np.isfinite(values) & ~((mine.ravel() == 0) & (right.ravel() == 0))]
        same_places = (np.isfinite(mine) == np.isfinite(right)).all() and ((mine == 0) == (right == 0)).all()
        moved = made(np.float64(3), np.float64(1)) == 2  # an offset
        if not len(kept) or not (moved or same_places):
            return None
        middle = float(np.median(kept))
        if not np.allclose(kept, middle, rtol=1e-4, atol=1e-6):
            return None
        found.append(middle)
    return found


def _named(evidence: Evidence, pairs: list[Pair], offsets: list[float] | None, factors: list[float] | None) -> str:
    """Return the sentence with the one name that fits, whose value is not the same in all calls."""
    numbers = [dict(_numbers(evidence, pair)) for pair in pairs]
    shared = [name for name in numbers[0] if all(name in one for one in numbers)]
    found: dict[tuple[float, ...], str] = {}
    for name in shared:
        values = [one[name] for one in numbers]
        own = {value for value, pair in zip(values, pairs, strict=True) if not pair.cut}
        if len(own) < 2 or min(values) < 0:
            continue
        for text in _fitting(f"`{name}`" if name.isidentifier() else name, values, offsets, factors):
            found.setdefault(tuple(values), text)
    return next(iter(found.values())) if len(found) == 1 else ""


def _fitting(name: str, values: list[float], offsets: list[float] | None, factors: list[float] | None) -> Iterator[str]:
    for form, made in _OFFSETS if offsets else ():
        known = [made(value) for value in values]
        if _agree(offsets or [], known):
            yield f"Yours is the right result plus {form.format(name)}."
        if _agree(offsets or [], [-value for value in known]):
            yield f"Yours is the right result minus {form.format(name)}."
    for form, made in _FORMS if factors and all(values) else ():
        known = [made(value) for value in values]
        if _agree(factors or [], known):
            yield f"Yours is the right result times {form.format(name)}."
        if _agree(factors or [], [1 / value for value in known]):
            yield f"Yours is the right result divided by {form.format(name)}."


def _agree(found: list[float], known: list[float]) -> bool:
    return bool(np.allclose(found, known, rtol=1e-4, atol=1e-7))


def _numbers(evidence: Evidence, pair: Pair) -> Iterator[tuple[str, float]]:
    """Return the numbers of a call that have a name: arguments first, then sizes."""
    known = evidence.named(pair.case.call)
    for name, value in known.items():
        number = array(value)
        if number is not None and number.ndim == 0 and number.dtype.kind in "iuf" and np.isfinite(number):
            yield name, float(number)
    for name, value in known.items():
        if is_tensor(value) or isinstance(value, np.ndarray):
            for axis, size in enumerate(value.shape):
                yield f"the size of axis {axis} of `{name}`", float(size)
        elif isinstance(value, list | tuple | str):
            yield f"the length of `{name}`", float(len(value))


def _constant(pairs: list[Pair], offsets: list[float] | None, factors: list[float] | None) -> str:
    """Return the sentence about a number that is the same in 3 different calls."""
    calls = {id(pair.case) for pair in recorded(pairs)}
    different = {(pair.right.shape, tuple(pair.right.ravel()[:4].tolist())) for pair in recorded(pairs)}
    if len(calls) < 3 or len(different) < 3:
        return ""
    if offsets and close(np.asarray(offsets), np.full(len(offsets), offsets[0])):
        return f"Yours is always {abs(offsets[0]):.4g} too {'large' if offsets[0] > 0 else 'small'}."
    if factors and close(np.asarray(factors), np.full(len(factors), factors[0])) and factors[0] != 0:
        return f"Yours is always {factors[0]:.4g} times the right result."
    return ""


def _whole(factors: list[float]) -> str:
    """Return the sentence about quotients that are whole numbers from 2 on, or whose inverses are."""
    for text, values in (("times", factors), ("the right result divided by", [1 / f for f in factors if f])):
        whole = [round(value) for value in values]
        fits = len(values) == len(factors) and all(
            number >= 2 and abs(value - number) <= _EXACT * number for value, number in zip(values, whole, strict=True)
        )
        if fits and len(set(whole)) >= 3:
            first = [str(number) for number in dict.fromkeys(whole)][:3]
            shown = f"{', '.join(first[:-1])} and {first[-1]}"
            return f"Yours is {shown} times the right result." if text == "times" else f"Yours is {text} {shown}."
    return ""
