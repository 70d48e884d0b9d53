"""Echo: the smallest layer that is both a recurrence and a convolution."""

from collections.abc import Iterable

from studium import Paper, Topic, hookimpl


@hookimpl
def studium_topics() -> Iterable[Topic]:
    """Return the topic."""
    yield Topic(
        slug="echo",
        title="Echo: one layer, two views",
        track="Samples",
        summary="Write an echo one sample at a time, then compute all of it at once.",
        package=__name__,
        papers=(
            Paper(
                "Combining Recurrent, Convolutional, and Continuous-time Models with Linear State-Space Layers",
                2021,
                "2110.13985",
            ),
        ),
        minutes=20,
    )
