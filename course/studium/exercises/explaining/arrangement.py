"""How entries are arranged: axes in another order, too many or too few; rows missing, shifted or reversed."""

import itertools
from functools import partial
from typing import Any

import numpy as np

from studium.exercises.explaining.finding import Pair, holds, recorded, rich
from studium.exercises.explaining.values import close


def shape(pairs: list[Pair]) -> str:
    """Axes in another order, an axis of size 1 too many or too few, or another shape of the same entries."""
    if all(pair.mine.shape == pair.right.shape and pair.right.ndim < 2 for pair in pairs) or not rich(pairs):
        return ""
    dims = {pair.right.ndim for pair in pairs}
    if len(dims) == 1 and 2 <= (count := dims.pop()) <= 4:
        for order in itertools.permutations(range(count)):
            if holds(pairs, lambda right, order=order: right.transpose(order)):  # type: ignore[misc]
                return _order(order)
    return "" if any(pair.mine.shape == pair.right.shape for pair in pairs) else _other_shape(pairs)


def _order(order: tuple[int, ...]) -> str:
    moved = [axis for axis, place in enumerate(order) if axis != place]
    if moved == [len(order) - 2, len(order) - 1]:
        return "Your result has its last two axes exchanged." if len(order) > 2 else "Your result is transposed."
    if len(moved) == 2:
        return f"Your result has the axes {moved[0]} and {moved[1]} exchanged."
    return "Your result has its axes in another order."


def _other_shape(pairs: list[Pair]) -> str:
    if not all(close(pair.mine.ravel(), pair.right.ravel()) for pair in pairs):
        return ""
    squeezed = all(pair.mine.squeeze().shape == pair.right.squeeze().shape for pair in pairs)
    more = {np.sign(pair.mine.ndim - pair.right.ndim) for pair in pairs}
    if squeezed and more in ({1}, {-1}):
        return f"Your values are right, but the result has an axis of size 1 too {'many' if more == {1} else 'few'}."
    if all(pair.mine.ndim == 1 for pair in pairs):
        return "Your values are right, but the result is flattened."
    return "Your values are right, but the result has another shape."


_REDUCTIONS: tuple[tuple[str, str, Any], ...] = (
    ("add up", "added up", np.sum),
    ("average", "averaged", np.mean),
    ("take the maximum", "took the maximum", np.max),
    ("take the minimum", "took the minimum", np.min),
)


def reduced(pairs: list[Pair]) -> str:
    """A sum, mean or maximum over an axis that is missing or too many."""
    ndims = {(pair.mine.ndim, pair.right.ndim) for pair in pairs}
    if len(ndims) != 1 or any(pair.right.dtype.kind not in "iuf" for pair in pairs):
        return ""
    mine, right = ndims.pop()
    for axis in range(-max(mine, right), 0):
        for verb, past, reduce in _REDUCTIONS:
            over = partial(reduce, axis=axis)
            if mine > right and _several(pairs, axis, "mine") and rich(pairs, 2) and holds(pairs, over, back=True):
                return f"You did not {verb} over {_axis(axis, mine)}."
            if mine < right and _several(pairs, axis, "right") and rich(pairs) and holds(pairs, over):
                return f"You {past} over {_axis(axis, right)}, which should stay."
    return ""


def _several(pairs: list[Pair], axis: int, which: str) -> bool:
    shapes = [getattr(pair, which).shape for pair in recorded(pairs)]
    return all(len(shape) >= -axis and shape[axis] > 1 for shape in shapes)


def _axis(axis: int, count: int) -> str:
    return "the last axis" if axis == -1 else f"axis {axis + count}"


def ends(pairs: list[Pair]) -> str:
    """The first or last item is missing, too many, or alone wrong; all items reversed, or shifted by one."""
    if not all(pair.mine.ndim and pair.right.ndim for pair in pairs) or not rich(pairs):
        return ""
    item = "row" if all(pair.right.ndim > 1 for pair in pairs) else "item"
    cuts = (("first", slice(1, None)), ("last", slice(None, -1)))
    for name, kept in cuts:
        if all(len(pair.right) > 1 for pair in recorded(pairs)) and holds(pairs, lambda v, k=kept: v[k]):  # type: ignore[misc]
            return f"The {name} {item} is missing."
        if all(len(pair.mine) > 1 for pair in recorded(pairs)) and holds(pairs, lambda v, k=kept: v[k], back=True):  # type: ignore[misc]
            return f"There is one {item} too many, the {name}."
    equal = all(pair.mine.shape == pair.right.shape for pair in pairs)
    if equal and all(pair.right.dtype.kind == "f" for pair in pairs) and holds(pairs, lambda v: v[::-1]):
        return f"Your {item}s are in reverse order."
    if equal and len(recorded(pairs)) > 1:
        for name, kept in cuts:
            if all((pair.cut or len(pair.right) > 2) and close(pair.mine[kept], pair.right[kept]) for pair in pairs):
                return f"Only the {name} {item} is wrong."
    return ""
