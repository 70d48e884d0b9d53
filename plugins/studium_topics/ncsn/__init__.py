"""Score matching: learn the gradient of a density at many noise levels, and walk along it from noise to data."""

from collections.abc import Iterable

from studium import Paper, Topic, hookimpl


@hookimpl
def studium_topics() -> Iterable[Topic]:
    """Return the one topic of this package."""
    yield Topic(
        slug="ncsn",
        title="Score matching and noise-conditional score networks",
        track="Diffusion",
        summary="Follow the gradient of a log density with noise: see it miss the weights of two modes, repair that "
        "with a ladder of noise levels, and learn scores from data until your own sampler draws digits.",
        package=__name__,
        papers=(
            Paper("Generative Modeling by Estimating Gradients of the Data Distribution", 2019, "1907.05600"),
            Paper("Improved Techniques for Training Score-Based Generative Models", 2020, "2006.09011"),
            Paper("Score-Based Generative Modeling through Stochastic Differential Equations", 2021, "2011.13456"),
        ),
        minutes=130,
        order=19,
    )
