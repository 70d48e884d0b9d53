"""LLM tasks: from fine-tuning to applications."""

from collections.abc import Iterable

from studium import Paper, Topic, hookimpl


@hookimpl
def studium_topics() -> Iterable[Topic]:
    """Return the topic."""
    yield Topic(
        slug="llm-tasks",
        title="LLM tasks: from fine-tuning to applications",
        track="Adapting and using LLMs",
        summary="Turn eight tasks into lines of tokens, and train a language model on the tokens of the answer.",
        package=__name__,
        papers=(
            Paper(
                "Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer", 2019, "1910.10683"
            ),
            Paper("Finetuned Language Models Are Zero-Shot Learners", 2021, "2109.01652"),
            Paper("Training Language Models to Follow Instructions with Human Feedback", 2022, "2203.02155"),
            Paper("Language Models are Few-Shot Learners", 2020, "2005.14165"),
            Paper("Efficient Sequence Packing without Cross-contamination", 2021, "2107.02027"),
            Paper("Retrieval-Augmented Generation for Knowledge-Intensive NLP Tasks", 2020, "2005.11401"),
        ),
        needs=("lora",),
        minutes=135,
        order=19,
    )
