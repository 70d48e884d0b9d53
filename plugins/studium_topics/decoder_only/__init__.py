"""Decoder-only transformers: a Llama from its parts, sampling, and the heads that copy."""

from collections.abc import Iterable

from studium import Paper, Topic, hookimpl


@hookimpl
def studium_topics() -> Iterable[Topic]:
    """Return the topic `decoder-only`."""
    yield Topic(
        slug="decoder-only",
        title="Decoder-only transformers (GPT, Llama)",
        track="Transformers",
        summary="Build a Llama from its parts, train it, sample from it, and see two layers copy what one cannot.",
        package=__name__,
        papers=(
            Paper("LLaMA: Open and Efficient Foundation Language Models", 2023, "2302.13971"),
            Paper("Language Models are Few-Shot Learners", 2020, "2005.14165"),
            Paper("In-context Learning and Induction Heads", 2022, "2209.11895"),
            Paper("Root Mean Square Layer Normalization", 2019, "1910.07467"),
        ),
        needs=("encoder-only",),
        minutes=135,
        order=2,
    )
