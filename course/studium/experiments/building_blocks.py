"""A topic's experiments, run with its reference as their building blocks."""

import inspect
from collections.abc import Callable, Iterator
from typing import Any

from studium.errors import TopicError
from studium.topics.claims import Claim
from studium.topics.profiles import Profile
from studium.topics.topic import Topic


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
