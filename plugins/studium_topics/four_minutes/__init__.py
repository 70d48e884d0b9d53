"""The opener of the course: four minutes with one widget, one line, one mistake and one experiment."""

from collections.abc import Iterable

from studium import Paper, Topic, hookimpl


@hookimpl
def studium_topics() -> Iterable[Topic]:
    """Return the one topic of this package."""
    yield Topic(
        slug="four-minutes",
        title="Four minutes",
        track="Begin here",
        summary="Move a slider, write one line, make a well-known mistake, be told which one, and see what it draws.",
        package=__name__,
        papers=(Paper("Classifier-Free Diffusion Guidance", 2022, "2207.12598"),),
        minutes=4,
        order=0,
        opener=True,
    )
