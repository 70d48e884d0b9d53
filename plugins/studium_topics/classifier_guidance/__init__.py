"""Classifier guidance: an unconditional diffusion model, steered to a class by the gradient of a classifier."""

from collections.abc import Iterable

from studium import Paper, Topic, hookimpl


@hookimpl
def studium_topics() -> Iterable[Topic]:
    """Return the one topic of this package."""
    yield Topic(
        slug="classifier-guidance",
        title="Classifier-guided diffusion",
        track="Diffusion",
        summary="Guide a model that knows no classes with the gradient of a classifier that you trained on noise, and "
        "draw digits on request: why a scale of 1 is exact, why more is needed, and which mistake tuning hides.",
        package=__name__,
        papers=(
            Paper("Diffusion Models Beat GANs on Image Synthesis", 2021, "2105.05233"),
            Paper("Score-Based Generative Modeling through Stochastic Differential Equations", 2020, "2011.13456"),
            Paper("Deep Unsupervised Learning using Nonequilibrium Thermodynamics", 2015, "1503.03585"),
        ),
        needs=("ddpm",),
        minutes=120,
        order=21,
    )
