"""Encoder-only transformers: BERT, from one attention mask to the experiment that made it famous."""

from collections.abc import Iterable

from studium import Paper, Topic, hookimpl


@hookimpl
def studium_topics() -> Iterable[Topic]:
    """Yield the topic `encoder-only`."""
    yield Topic(
        slug="encoder-only",
        title="Encoder-only transformers (BERT)",
        track="Transformers",
        summary="Read a sentence from both sides at once: post-norm layers, padding masks, masked language models.",
        package=__name__,
        papers=(
            Paper(
                "BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding", 2018, "1810.04805"
            ),
            Paper("Masked Language Model Scoring", 2019, "1910.14659"),
        ),
        minutes=135,
        order=1,
    )
