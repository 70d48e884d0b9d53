"""Rotary positions: scores that feel offsets alone, what that does beyond the trained length, and how to stretch it."""

from collections.abc import Iterable

from studium import Paper, Topic, hookimpl


@hookimpl
def studium_topics() -> Iterable[Topic]:
    """Return the topic `rope`."""
    yield Topic(
        slug="rope",
        title="Rotary positional embedding",
        track="Transformers",
        summary="Turn queries and keys so that scores feel offsets alone, then ask the model what it has never seen.",
        package=__name__,
        papers=(
            Paper("RoFormer: Enhanced Transformer with Rotary Position Embedding", 2021, "2104.09864"),
            Paper("Train Short, Test Long: Attention with Linear Biases", 2021, "2108.12409"),
            Paper("Extending Context Window of Large Language Models via Positional Interpolation", 2023, "2306.15595"),
            Paper("YaRN: Efficient Context Window Extension of Large Language Models", 2023, "2309.00071"),
        ),
        needs=("decoder-only",),
        minutes=112,
        order=3,
    )
