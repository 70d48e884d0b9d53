"""Weaker truths about a result, where nothing better is known: which part is wrong, its axes, that it is NaN."""

from typing import Any

import numpy as np

from studium.exercises.explaining.evidence import Case
from studium.exercises.explaining.finding import ORDINALS, Finding, Pair, listed
from studium.exercises.explaining.values import array, same


def one_part(cases: list[Case]) -> Finding | None:
    """Say which of several results are right and which are wrong, where that is the same in every wrong call."""
    results = [(case.call.observed.result, case.right.result) for case in cases]
    if results and all(isinstance(one, dict) for both in results for one in both):
        return _one_key(results)
    counts = {len(right) if isinstance(right, tuple) and isinstance(mine, tuple) else 0 for mine, right in results}
    if len(counts) != 1 or not 2 <= (count := counts.pop()) <= len(ORDINALS):
        return None
    if any(len(mine) != count for mine, _ in results):
        return None
    right = [n for n in range(count) if all(same(mine[n], wanted[n]) for mine, wanted in results)]
    wrong = [n for n in range(count) if not any(same(mine[n], wanted[n]) for mine, wanted in results)]
    if not right or len(right) + len(wrong) != count:
        return None
    one, other = (listed([ORDINALS[n] for n in places]) for places in (right, wrong))
    is_, are = ("result is" if len(places) == 1 else "results are" for places in (right, wrong))
    return Finding(f"Your {one} {is_} right; the {other} {are} not.", "one part")


def _one_key(results: list[tuple[dict[Any, Any], dict[Any, Any]]]) -> Finding | None:
    """Say at which keys of a dict the values are wrong, where those are the same in every wrong call."""
    keys = set(results[0][1])
    if not all(isinstance(key, str) for key in keys) or any(set(one) != keys for both in results for one in both):
        return None
    wrong = [{key for key in keys if not same(mine[key], right[key])} for mine, right in results]
    if not 0 < len(wrong[0]) < len(keys) or any(one != wrong[0] for one in wrong):
        return None
    names = listed([f"`{key}`" for key in results[0][1] if key in wrong[0]])
    return Finding(f"Your result is right except at {names}.", "one part")


def weak(pairs: list[Pair]) -> Finding | None:
    """Say that a result has other axes than it should, or is not finite."""
    if not pairs or any(array(pair.case.right.result) is None for pair in pairs):  # a part of a result says little
        return None
    axes = {(pair.mine.ndim, pair.right.ndim) for pair in pairs}
    if len(axes) == 1 and (both := axes.pop())[0] != both[1]:
        return Finding(f"Your result has {_axes(both[0])}, and should have {_axes(both[1])}.", "weak")
    if all(pair.mine.shape != pair.right.shape and pair.mine.ndim == pair.right.ndim for pair in pairs):
        differ = [{n for n in range(p.mine.ndim) if p.mine.shape[n] != p.right.shape[n]} for p in pairs]
        if all(one == differ[0] for one in differ) and len(differ[0]) == 1:
            return Finding(f"Your result has the wrong size along axis {differ[0].pop()}.", "weak")
        return Finding("Your result has the wrong shape.", "weak")
    with np.errstate(all="ignore"):
        for name, test in (("NaN", np.isnan), ("infinite values", np.isinf)):
            if all(_only_mine(pair, test) for pair in pairs):
                return Finding(f"Your result holds {name} where it should be finite.", "weak")
    return None


def _axes(count: int) -> str:
    return {0: "no axes", 1: "one axis"}.get(count, f"{count} axes")


def _only_mine(pair: Pair, test: np.ufunc) -> bool:
    if pair.mine.dtype.kind != "f" or pair.mine.shape != pair.right.shape or pair.right.dtype.kind not in "iuf":
        return False
    return bool((test(pair.mine) & np.isfinite(pair.right)).any())
