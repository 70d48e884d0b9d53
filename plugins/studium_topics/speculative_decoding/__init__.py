"""Speculative decoding: a small model drafts, a large one checks, and the text is distributed as the large one's."""

from collections.abc import Iterable

from studium import Paper, Topic, hookimpl


@hookimpl
def studium_topics() -> Iterable[Topic]:
    """Return the topic `speculative-decoding`."""
    yield Topic(
        slug="speculative-decoding",
        title="Speculative decoding",
        track="Adapting and using LLMs",
        summary="Let a small model guess, check it in one pass, and prove that the text stays the large model's.",
        package=__name__,
        papers=(
            Paper("Fast Inference from Transformers via Speculative Decoding", 2022, "2211.17192"),
            Paper("Accelerating Large Language Model Decoding with Speculative Sampling", 2023, "2302.01318"),
            Paper(
                "SpecInfer: Accelerating Generative LLM Serving with Tree-based Speculative Inference",
                2023,
                "2305.09781",
            ),
        ),
        needs=("kv-caching",),
        minutes=122,
        order=17,
    )
