"""ALBERT: a BERT whose layers are one layer, and whose second task is the order of sentences."""

from collections.abc import Iterable

from studium import Paper, Topic, hookimpl


@hookimpl
def studium_topics() -> Iterable[Topic]:
    """Yield the topic `albert`."""
    yield Topic(
        slug="albert",
        title="ALBERT: one layer, many times",
        track="Encoders and T5",
        summary="Count a BERT's parameters to the digit, then share them: factorised embeddings, one layer used twelve "
        "times, sentence order in place of the next sentence.",
        package=__name__,
        papers=(
            Paper("ALBERT: A Lite BERT for Self-supervised Learning of Language Representations", 2019, "1909.11942"),
            Paper("Universal Transformers", 2018, "1807.03819"),
        ),
        needs=("encoder-only",),
        minutes=125,
        order=19,
    )
