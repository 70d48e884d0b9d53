"""A paper's claim, reproduced in miniature and measured.

A topic's ``experiment.py`` defines ``claims``, a tuple of Claim. Each names an experiment: a function that takes the
building blocks by name (from ``reference.py``, or in the lesson the learner's own functions) and, by keyword,
``profile`` and ``seed``.
"""

import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from studium.errors import TopicError
from studium.profiles import NAMES, Name, Profile
from studium.published import BesidePaper, Published
from studium.topic import Topic


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


def run_experiment(topic: Topic, experiment: Callable[..., Any], profile: Profile, seed: int) -> Any:
    """Run an experiment with the topic's reference as its building blocks."""
    return experiment(**building_blocks(topic, experiment), profile=profile, seed=seed)


def building_blocks(topic: Topic, experiment: Callable[..., Any]) -> dict[str, Any]:
    """Return what ``reference.py`` supplies for the parameters of an experiment, by name."""
    if not topic.has("reference"):
        raise TopicError(
            f"topic {topic.slug} has no reference.py, as on student machines; measure with the full package"
        )
    reference, given = topic.module("reference"), dict[str, Any]()
    for name, parameter in inspect.signature(experiment).parameters.items():
        if name in ("profile", "seed"):
            continue
        if hasattr(reference, name):
            given[name] = getattr(reference, name)
        elif parameter.default is parameter.empty:
            raise TopicError(
                f"{experiment.__name__} of {topic.slug} takes {name!r}, but reference.py does not define it; add it "
                f"there"
            )
    return given


def experiments(topic: Topic) -> Iterator[tuple[Callable[..., Any], list[Claim]]]:
    """Return each experiment of a topic once, with the claims measured from it."""
    for experiment in dict.fromkeys(claim.experiment for claim in topic.claims):
        yield experiment, [claim for claim in topic.claims if claim.experiment is experiment]
