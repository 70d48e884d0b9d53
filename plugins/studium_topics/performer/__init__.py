"""Performer: softmax attention in linear time, estimated from positive orthogonal random features."""

from collections.abc import Iterable

from studium import Paper, Topic, hookimpl


@hookimpl
def studium_topics() -> Iterable[Topic]:
    """Return the topic `performer`."""
    yield Topic(
        slug="performer",
        title="Performer: attention from random features",
        track="Efficient attention",
        summary="Estimate softmax attention without bias in linear time, and find out what the estimate costs.",
        package=__name__,
        papers=(
            Paper("Rethinking Attention with Performers", 2020, "2009.14794"),
            Paper("Transformers are RNNs: Fast Autoregressive Transformers with Linear Attention", 2020, "2006.16236"),
        ),
        needs=("decoder-only", "flash-attention"),
        minutes=136,
        order=13,
    )
