"""A paper's claim, reproduced in miniature and measured.

A topic's ``experiment.py`` defines ``claims``, a tuple of Claim. Each names an experiment: a function that takes the
building blocks by name (from ``reference.py``, or in the lesson the learner's own functions) and, by keyword,
``profile`` and ``seed``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from studium.errors import TopicError
from studium.topics.profiles import NAMES, Name, Profile
from studium.topics.published import BesidePaper, Published


@dataclass(frozen=True)
class Claim:
    """One measurable claim: ``measure`` takes a number from the experiment's result, which must reach the threshold.

    Give exactly one of ``at_least`` and ``at_most``. ``paper`` is an arXiv id. Below the profile ``holds_from`` the
    claim is measured but not judged, because a smoke run is too small for it. ``published`` has the paper's numbers for
    the same comparison, which a lesson shows next to its own.
    """

    text: str
    paper: str
    experiment: Callable[..., Any]
    measure: Callable[[Any], float]
    at_least: float | None = None
    at_most: float | None = None
    holds_from: Name = "laptop"
    published: Published | None = None

    def __post_init__(self) -> None:
        if (self.at_least is None) == (self.at_most is None):
            raise TopicError(f"claim {self.text!r} needs one of at_least and at_most; give exactly one")

    @property
    def threshold(self) -> float:
        """The number to reach, or to stay below."""
        bound = self.at_least if self.at_most is None else self.at_most
        return float(bound)  # type: ignore[arg-type]

    def worst(self, measured: list[float]) -> float:
        """Return the measurement that comes closest to breaking the claim."""
        if any(value != value for value in measured):
            return float("nan")
        return max(measured) if self.at_least is None else min(measured)

    def holds(self, value: float, profile: Profile) -> bool | None:
        """Return whether ``value`` supports the claim; None if the profile is too small to judge."""
        if not self.judged_at(profile):
            return None
        return bool(value <= self.threshold if self.at_least is None else value >= self.threshold)

    def judged_at(self, profile: Profile) -> bool:
        """Return whether a run at ``profile`` is large enough to judge the claim."""
        return NAMES.index(profile.name) >= NAMES.index(self.holds_from)

    def beside_paper(self, results: Sequence[Any], profile: Profile) -> BesidePaper | None:
        """Return the paper's numbers next to those of some runs of the experiment, or None if the claim has none."""
        return self.published.beside(results, judged=self.judged_at(profile)) if self.published else None
