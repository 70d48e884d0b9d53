"""Linformer: attention over a fixed number of summaries of the text, linear in its length, and what that costs."""

from collections.abc import Iterable

from studium import Paper, Topic, hookimpl


@hookimpl
def studium_topics() -> Iterable[Topic]:
    """Return the topic `linformer`."""
    yield Topic(
        slug="linformer",
        title="Linformer: attention of low rank",
        track="Efficient attention",
        summary="Measure how few directions attention uses, project keys and values to them, and see what that breaks.",
        package=__name__,
        papers=(Paper("Linformer: Self-Attention with Linear Complexity", 2020, "2006.04768"),),
        needs=("encoder-only",),
        minutes=107,
        order=12,
    )
