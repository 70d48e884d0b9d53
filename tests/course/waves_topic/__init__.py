"""A topic that has everything that a page can show, and runs in seconds."""

from collections.abc import Iterable

from studium import Paper, Topic, hookimpl


@hookimpl
def studium_topics() -> Iterable[Topic]:
    """Return the topic."""
    yield Topic(
        slug="waves",
        title="Waves",
        track="Water",
        summary="Everything that a page can show.",
        package=__name__,
        papers=(Paper("On the Theory of Oscillatory Waves", 1847), Paper("Denoising", 2020, "2006.11239")),
        needs=("swimming",),
        minutes=75,
        order=1,
    )
