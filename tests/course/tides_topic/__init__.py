"""A topic that comes after the waves, without exercises."""

from collections.abc import Iterable

from studium import Topic, hookimpl


@hookimpl
def studium_topics() -> Iterable[Topic]:
    """Return the topic."""
    yield Topic(
        slug="tides",
        title="Tides",
        track="Water",
        summary="Twice a day.",
        package=__name__,
        needs=("waves",),
        minutes=20,
        order=2,
    )
