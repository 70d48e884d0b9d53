"""RoBERTa: the same encoder as BERT's, and a recipe that is measured one change at a time."""

from collections.abc import Iterable

from studium import Paper, Topic, hookimpl


@hookimpl
def studium_topics() -> Iterable[Topic]:
    """Yield the topic `roberta`."""
    yield Topic(
        slug="roberta",
        title="RoBERTa: a robustly optimised recipe",
        track="Encoders and T5",
        summary="Keep BERT's encoder and change its recipe: packing, dynamic masking, batches, one ablation at a time.",
        package=__name__,
        papers=(
            Paper("RoBERTa: A Robustly Optimized BERT Pretraining Approach", 2019, "1907.11692"),
            Paper("Neural Machine Translation of Rare Words with Subword Units", 2015, "1508.07909"),
        ),
        needs=("encoder-only",),
        minutes=115,
        order=18,
    )
