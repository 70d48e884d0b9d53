"""What the arguments of all recorded calls have in common, which a smaller call must keep.

A statement promises more than a test checks: that two arguments have a row for each text, that a box has four numbers,
that probabilities add up to 1. A call that breaks such a promise may still have a result, but it would mislead.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from studium.exercises.explaining.values import Array, array

_SEVERAL = 3  # sizes of one axis, before an axis with a single size seems to be meant so
Axis = tuple[str, int]  # an argument's name, and the axis counted from the front, or from the back if negative


@dataclass(frozen=True)
class Invariants:
    """``equal`` are groups of axes that have one size in each call, ``fixed`` the sizes that never change while others
    of the same argument do, ``shares`` the arguments that add up to 1 along the last axis.
    """

    equal: tuple[tuple[Axis, ...], ...]
    fixed: Mapping[Axis, int]
    shares: frozenset[str]

    @classmethod
    def of(cls, calls: Sequence[Mapping[str, Any]]) -> "Invariants":
        """Return what calls, as arguments by name, have in common."""
        known = [dict(_axes(call)) for call in calls]
        sizes = {axis: [one[axis] for one in known] for axis in (known[0] if known else ()) if _in_all(axis, known)}
        groups: defaultdict[tuple[int, ...], list[Axis]] = defaultdict(list)
        for axis, found in sizes.items():
            groups[tuple(found)].append(axis)
        varies = {axis[0] for axis, found in sizes.items() if len(set(found)) >= _SEVERAL}
        fixed = {axis: found[0] for axis, found in sizes.items() if len(set(found)) == 1 and axis[0] in varies}
        names = [{name for name, value in call.items() if _adds_up(value)} for call in calls]
        shares = frozenset.intersection(*map(frozenset, names)) if names else frozenset()
        return cls(tuple(tuple(group) for group in groups.values() if len(group) > 1), fixed, shares)

    def hold_in(self, call: Mapping[str, Any]) -> bool:
        """Return whether another call has all of this in common with them."""
        axes = dict(_axes(call))
        return (
            all(len({axes.get(axis) for axis in group}) == 1 for group in self.equal)
            and all(axes.get(axis) == size for axis, size in self.fixed.items())
            and all(_adds_up(call.get(name)) for name in self.shares)
        )


def _in_all(axis: Axis, calls: Sequence[Mapping[Axis, int]]) -> bool:
    return all(axis in call for call in calls)


def _axes(call: Mapping[str, Any]) -> Iterator[tuple[Axis, int]]:
    for name, value in call.items():
        found = array(value)
        shape = (len(value),) if isinstance(value, list | tuple) else () if found is None else found.shape
        for number, size in enumerate(shape):
            yield (name, number), size
            yield (name, number - len(shape)), size


def _adds_up(value: Any) -> bool:
    found: Array | None = array(value)
    if found is None or found.dtype.kind != "f" or not found.size or not found.ndim:
        return False
    return bool((found >= 0).all() and np.isclose(found.sum(-1), 1, atol=1e-4).all())
