"""Shares, and the intervals around them."""

from functools import lru_cache

import msgspec


class Interval(msgspec.Struct, frozen=True):
    """An estimate and its 95 % interval."""

    value: float
    low: float
    high: float


@lru_cache(4096)  # a board computes the same ones again and again
def share(successes: int, count: int) -> Interval:
    """Return a share with Wilson's interval, which is the whole range if nothing was counted."""
    from scipy.stats import binomtest  # here: a course server where nobody looks at mistakes need not load it

    if not count:
        return Interval(0.0, 0.0, 1.0)
    found = binomtest(successes, count).proportion_ci(method="wilson")
    return Interval(successes / count, float(found.low), float(found.high))
