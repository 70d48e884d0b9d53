"""LoRA: low-rank adaptation of large language models."""

from collections.abc import Iterable

from studium import Paper, Topic, hookimpl


@hookimpl
def studium_topics() -> Iterable[Topic]:
    """Return the topic."""
    yield Topic(
        slug="lora",
        title="LoRA: low-rank adaptation",
        track="Adapting and using LLMs",
        summary="Fine-tune a model through two thin matrices per layer, merge them away, and see what rank buys.",
        package=__name__,
        papers=(
            Paper("LoRA: Low-Rank Adaptation of Large Language Models", 2021, "2106.09685"),
            Paper(
                "Intrinsic Dimensionality Explains the Effectiveness of Language Model Fine-Tuning", 2020, "2012.13255"
            ),
        ),
        needs=("decoder-only",),
        minutes=135,
        order=16,
    )
