"""Gated feed-forward layers: what a gate can compute, what it costs, and whether it is really better."""

from collections.abc import Iterable

from studium import Paper, Topic, hookimpl


@hookimpl
def studium_topics() -> Iterable[Topic]:
    """Return the topic `swiglu`."""
    yield Topic(
        slug="swiglu",
        title="SwiGLU: the gated feed-forward",
        track="Feed-forward",
        summary="Multiply two numbers with two gated units, match costs exactly, and test whether the gate is better.",
        package=__name__,
        papers=(
            Paper("GLU Variants Improve Transformer", 2020, "2002.05202"),
            Paper("Language Modeling with Gated Convolutional Networks", 2016, "1612.08083"),
            Paper("Searching for Activation Functions", 2017, "1710.05941"),
            Paper("Gaussian Error Linear Units (GELUs)", 2016, "1606.08415"),
        ),
        needs=("decoder-only",),
        minutes=130,
        order=14,
    )
