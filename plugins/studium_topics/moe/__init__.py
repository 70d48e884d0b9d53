"""Mixture of experts: a feed-forward layer in which each token uses a few of many experts."""

from collections.abc import Iterable

from studium import Paper, Topic, hookimpl


@hookimpl
def studium_topics() -> Iterable[Topic]:
    """Return the topic."""
    yield Topic(
        slug="moe",
        title="Mixture of experts: the efficient feed-forward",
        track="Feed-forward",
        summary="Route each token to a few of many experts, balance the router, and measure what sparsity buys.",
        package=__name__,
        papers=(
            Paper(
                "Outrageously Large Neural Networks: The Sparsely-Gated Mixture-of-Experts Layer", 2017, "1701.06538"
            ),
            Paper(
                "Switch Transformers: Scaling to Trillion Parameter Models with Simple and Efficient Sparsity",
                2021,
                "2101.03961",
            ),
            Paper("ST-MoE: Designing Stable and Transferable Sparse Expert Models", 2022, "2202.08906"),
            Paper("Mixtral of Experts", 2024, "2401.04088"),
        ),
        needs=("swiglu",),
        minutes=135,
        order=15,
    )
