"""Span corruption: how T5 hides spans, why its targets are short, and what a denoiser learns."""

from collections.abc import Iterable

from studium import Paper, Topic, hookimpl


@hookimpl
def studium_topics() -> Iterable[Topic]:
    """Yield the topic `span-corruption`."""
    yield Topic(
        slug="span-corruption",
        title="Span corruption (T5)",
        track="Encoders and T5",
        summary="Hide spans behind sentinels, let a decoder write only what is missing, and measure what that saves.",
        package=__name__,
        papers=(
            Paper(
                "Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer", 2019, "1910.10683"
            ),
            Paper("SpanBERT: Improving Pre-training by Representing and Predicting Spans", 2019, "1907.10529"),
        ),
        needs=("encoder-only", "encoder-decoder"),
        minutes=130,
        order=21,
    )
