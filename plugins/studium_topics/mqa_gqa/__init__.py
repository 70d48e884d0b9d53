"""Multi-query and grouped-query attention: fewer key and value heads, an exact share of the cache, a small price."""

from collections.abc import Iterable

from studium import Paper, Topic, hookimpl


@hookimpl
def studium_topics() -> Iterable[Topic]:
    """Return the topic `mqa-gqa`."""
    yield Topic(
        slug="mqa-gqa",
        title="Multi-query and grouped-query attention",
        track="Efficient attention",
        summary="Let query heads share keys and values: the cache shrinks exactly, the quality a little; measure both.",
        package=__name__,
        papers=(
            Paper("Fast Transformer Decoding: One Write-Head is All You Need", 2019, "1911.02150"),
            Paper("GQA: Training Generalized Multi-Query Transformer Models", 2023, "2305.13245"),
            Paper("DeepSeek-V2: A Strong, Economical, and Efficient Mixture-of-Experts Model", 2024, "2405.04434"),
        ),
        needs=("kv-caching",),
        minutes=110,
        order=9,
    )
