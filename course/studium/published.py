"""What a paper published for the comparison that a claim makes in miniature, and our own numbers beside it."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean
from typing import Any

import msgspec

from studium.errors import TopicError


class BesidePaper(msgspec.Struct, frozen=True):
    """Our numbers (``ours``) and the paper's (``values``) for the same things, in the paper's order.

    Both have a unit of their own and are never on one axis. ``order`` is a sentence on whether the things come in the
    same order, ``differs`` one on why the sizes differ.
    """

    source: str
    unit: str
    values: dict[str, float]
    our_unit: str
    ours: dict[str, float]
    order: str
    differs: str


@dataclass(frozen=True, eq=False)
class Published:
    """The numbers of a paper's table or figure, by the name of what is compared, to be shown beside ours.

    ``source`` names paper and place, as in "Hu et al. 2021, Table 5". ``ours`` takes the experiment's result and one of
    the names in ``values``, and returns our number, which is in ``our_unit``. ``differs`` is a sentence on why the
    sizes are not the same. Two numbers of the paper that are at most ``spread`` apart count as equal. With
    ``opposite``, more in the paper is less here, as with accuracy and loss.
    """

    source: str
    values: Mapping[str, float]
    unit: str
    ours: Callable[[Any, str], float]
    our_unit: str
    differs: str
    spread: float = 0.0
    opposite: bool = False

    def __post_init__(self) -> None:
        if len(self.values) < 2 or not all(map(math.isfinite, self.values.values())):
            raise TopicError(
                f"{self.source!r} needs two or more finite numbers to compare: got {dict(self.values)}; name each one"
            )

    def beside(self, results: Sequence[Any]) -> BesidePaper:
        """Return the paper's numbers beside ours, which are means over the results of one experiment."""
        ours = {name: fmean(float(self.ours(result, name)) for result in results) for name in self.values}
        return BesidePaper(
            self.source, self.unit, dict(self.values), self.our_unit, ours, self.order(ours), self.differs
        )

    def order(self, ours: Mapping[str, float]) -> str:
        """Return a sentence on how many pairs have the same order in ``ours`` as in the paper."""
        pairs = list(self._ordered())
        same = sum((ours[less] > ours[more]) if self.opposite else (ours[less] < ours[more]) for less, more in pairs)
        left_out = math.comb(len(self.values), 2) - len(pairs)
        apart = f", apart from {left_out} that are too close in the paper" if left_out else ""
        what = "from worse to better" if self.opposite else "from small to large"
        if not pairs:
            return "The paper's numbers are too close to each other to have an order."
        if len(pairs) == 1 and not left_out:
            return f"The order, {what}, is that of the paper." if same else "The order is the reverse of the paper's."
        return f"{same} of {len(pairs)} pairs have the paper's order, {what}{apart}."

    def _ordered(self) -> Iterator[tuple[str, str]]:
        """Yield each pair of names that the paper's numbers tell apart, the one with the lower number first."""
        for one, other in combinations(self.values, 2):
            if abs(self.values[one] - self.values[other]) > self.spread:
                yield (one, other) if self.values[one] < self.values[other] else (other, one)
