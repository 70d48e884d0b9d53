"""A sentence that is true of a wrong answer, and the pairs of values that relations look at."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from studium.exercises.explaining.evidence import Case
from studium.exercises.explaining.values import Array, array, close, distinct, parts

Made = Callable[[Array], Array | None]


@dataclass(frozen=True)
class Finding:
    """A sentence and its kind, such as "relation". ``values``: it holds a number that comes from the calls."""

    text: str
    kind: str
    values: bool = False


class Pair(NamedTuple):
    """A part of a result that is wrong: the answer's, the right one, and the case in which it came.

    One of a call that was ``cut`` smaller can contradict a relation, but tells little for it.
    """

    mine: Array
    right: Array
    case: Case
    cut: bool = False


def recorded(pairs: list[Pair]) -> list[Pair]:
    """Return the pairs of calls that a test made."""
    return [pair for pair in pairs if not pair.cut]


def pairs(cases: Iterable[Case], *, cut: bool = False) -> list[Pair] | None:
    """Return the parts that differ in wrong calls; None where a part is not numbers, or the results' parts differ."""
    found: list[Pair] = []
    for case in cases:
        mine, right = list(parts(case.call.observed.result)), list(parts(case.right.result))
        if [part.place for part in mine] != [part.place for part in right]:
            mine, right = mine[:0], right[:0]
            one, other = array(case.call.observed.result), array(case.right.result)
            if one is None or other is None:
                return None
            found.append(Pair(one, other, case, cut))
        for own, wanted in zip(mine, right, strict=True):
            one, other = array(own.value), array(wanted.value)
            if one is None or other is None:
                if own.value is wanted.value or own.value == wanted.value:
                    continue
                return None
            if not close(one, other):
                found.append(Pair(one, other, case, cut))
    return found


def listed(items: list[str]) -> str:
    """Return words as a list: "a, b and c"."""
    return f"{', '.join(items[:-1])} and {items[-1]}" if len(items) > 1 else "".join(items)


ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")


def holds(pairs: list[Pair], make: Made, *, back: bool = False) -> bool:
    """Return whether ``make`` gives the answer's value from the right one in each pair; ``back``: the other way."""
    for pair in pairs:
        given, wanted = (pair.mine, pair.right) if back else (pair.right, pair.mine)
        try:
            made = make(given)
        except (ValueError, IndexError, TypeError):
            return False
        if made is None or not close(np.asarray(made), wanted):
            return False
    return True


def rich(pairs: list[Pair], least: int = 3) -> bool:
    """Return whether the right values are various enough to tell anything: in one result, or over several calls."""
    pairs = recorded(pairs)
    most = max(distinct(pair.right) for pair in pairs)
    if all(pair.right.size == 1 for pair in pairs):
        values = np.asarray([complex(pair.right.ravel()[0]) for pair in pairs])
        return len(pairs) >= 3 and len(np.unique(values)) >= 3
    return most >= least
