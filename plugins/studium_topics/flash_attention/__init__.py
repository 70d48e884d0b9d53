"""FlashAttention: exact attention in tiles, with memory that grows as the text and not as its square."""

from collections.abc import Iterable

from studium import Paper, Topic, hookimpl


@hookimpl
def studium_topics() -> Iterable[Topic]:
    """Return the topic `flash-attention`."""
    yield Topic(
        slug="flash-attention",
        title="FlashAttention: exact attention in tiles",
        track="Efficient attention",
        summary="Compute a softmax that never sees its row, forward and backward, and count every number that moves.",
        package=__name__,
        papers=(
            Paper("FlashAttention: Fast and Memory-Efficient Exact Attention with IO-Awareness", 2022, "2205.14135"),
            Paper(
                "FlashAttention-2: Faster Attention with Better Parallelism and Work Partitioning", 2023, "2307.08691"
            ),
            Paper("Online normalizer calculation for softmax", 2018, "1805.02867"),
            Paper("Self-attention Does Not Need O(n²) Memory", 2021, "2112.05682"),
        ),
        needs=("decoder-only",),
        minutes=135,
        order=10,
    )
