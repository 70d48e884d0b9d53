"""What a paper published for the comparison that a claim makes in miniature, next to our own numbers."""

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

    The two have different units and are never on one axis. ``seen`` says whether the order is the same, and why the
    sizes differ.
    """

    source: str
    unit: str
    values: dict[str, float]
    our_unit: str
    ours: dict[str, float]
    seen: str


@dataclass(frozen=True, eq=False)
class Published:
    """The numbers in a paper's table or figure, by the name of what is compared, to be shown next to ours.

    ``source`` names the paper and the place, as in "Hu et al. 2021, Table 5". ``ours`` takes the experiment's result
    and one of the names in ``values``, and returns our number in ``our_unit``. ``differs`` is a sentence about why the
    sizes are not the same. Two numbers in the paper that differ by at most ``spread`` count as equal. With
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

    def beside(self, results: Sequence[Any], *, judged: bool = True) -> BesidePaper | None:
        """Return the paper's numbers next to ours, which are means over the results of one experiment.

        Nothing is concluded from results that are not ``judged``, because their experiment was too small. Return None
        if one of our numbers is not finite.
        """
        ours = {name: fmean(float(self.ours(result, name)) for result in results) for name in self.values}
        if not all(map(math.isfinite, ours.values())):
            return None
        seen = f"{self.order(ours)} {self.differs}" if judged else "This run is too small to compare with the paper."
        return BesidePaper(self.source, self.unit, dict(self.values), self.our_unit, ours, seen)

    def order(self, ours: Mapping[str, float]) -> str:
        """Return a sentence on how many pairs are in the same order in ``ours`` as in the paper."""
        pairs = list(self._ordered())
        sign = -1 if self.opposite else 1
        same = sum(sign * ours[less] < sign * ours[more] for less, more in pairs)
        what = "from worse to better" if self.opposite else "from small to large"
        if not pairs:
            return "The paper's numbers are too close together to rank."
        if len(self.values) == 2:
            is_that = "is that" if same else "is not that"
            return f"The order, {what}, {is_that} of the paper."
        some = f"All {same}" if same == len(pairs) else f"{same} of {len(pairs)}"
        left_out = math.comb(len(self.values), 2) - len(pairs)
        close = f" (pairs that are too close in the paper are left out: {left_out})" if left_out else ""
        return f"{some} pairs are in the paper's order, {what}{close}."

    def _ordered(self) -> Iterator[tuple[str, str]]:
        """Yield each pair of names whose numbers in the paper differ clearly, the lower one first."""
        for one, other in combinations(self.values, 2):
            if abs(self.values[one] - self.values[other]) > self.spread:
                yield (one, other) if self.values[one] < self.values[other] else (other, one)
