"""KV caching: the same tokens for a fraction of the arithmetic, and the memory that it takes."""

from collections.abc import Iterable

from studium import Paper, Topic, hookimpl


@hookimpl
def studium_topics() -> Iterable[Topic]:
    """Return the topic `kv-caching`."""
    yield Topic(
        slug="kv-caching",
        title="KV caching",
        track="Efficient attention",
        summary="Decode with a cache: identical tokens, operations counted to the last one, and the bill in gigabytes.",
        package=__name__,
        papers=(
            Paper("Fast Transformer Decoding: One Write-Head is All You Need", 2019, "1911.02150"),
            Paper("Efficiently Scaling Transformer Inference", 2022, "2211.05102"),
            Paper("Efficient Memory Management for LLM Serving with PagedAttention", 2023, "2309.06180"),
        ),
        needs=("decoder-only",),
        minutes=110,
        order=4,
    )
