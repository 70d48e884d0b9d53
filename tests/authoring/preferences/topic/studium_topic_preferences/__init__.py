"""DPO: a model learns from pairs of answers."""

from collections.abc import Iterable

from studium import Paper, Topic, hookimpl


@hookimpl
def studium_topics() -> Iterable[Topic]:
    """Return the topic."""
    yield Topic(
        slug="preferences",
        title="DPO: learning from pairs",
        track="Samples",
        summary="Train a model on pairs of answers, without a reward model.",
        package=__name__,
        papers=(Paper("Direct Preference Optimization", 2023, "2305.18290"),),
        minutes=20,
    )
