"""Encoder-decoder transformers: T5 from its parts, cross-attention as a memory, and search with both caches."""

from collections.abc import Iterable

from studium import Paper, Topic, hookimpl


@hookimpl
def studium_topics() -> Iterable[Topic]:
    """Return the topic `encoder-decoder`."""
    yield Topic(
        slug="encoder-decoder",
        title="Encoder-decoder transformers (T5)",
        track="Encoders and T5",
        summary="Build T5's decoder, see where it looks as it copies, reverses or sorts, and search with two caches.",
        package=__name__,
        papers=(
            Paper(
                "Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer", 2019, "1910.10683"
            ),
            Paper("Attention Is All You Need", 2017, "1706.03762"),
            Paper("Neural Machine Translation by Jointly Learning to Align and Translate", 2014, "1409.0473"),
        ),
        needs=("encoder-only", "decoder-only"),
        minutes=140,
        order=20,
    )
