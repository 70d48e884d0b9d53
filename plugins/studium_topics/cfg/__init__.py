"""Classifier-free guidance: one network predicts the noise with a label and without, and the difference is a dial."""

from collections.abc import Iterable

from studium import Paper, Topic, hookimpl


@hookimpl
def studium_topics() -> Iterable[Topic]:
    """Return the one topic of this package."""
    yield Topic(
        slug="cfg",
        title="Classifier-free guidance",
        track="Diffusion",
        summary="Train one network with labels and without, draw digits on demand with your own guided sampler, and "
        "derive what it samples: not the density that its formula suggests. Then find out why guidance helps.",
        package=__name__,
        papers=(
            Paper("Classifier-Free Diffusion Guidance", 2022, "2207.12598"),
            Paper("Classifier-Free Guidance is a Predictor-Corrector", 2024, "2408.09000"),
            Paper("Photorealistic Text-to-Image Diffusion Models with Deep Language Understanding", 2022, "2205.11487"),
            Paper("Common Diffusion Noise Schedules and Sample Steps are Flawed", 2023, "2305.08891"),
            Paper(
                "Applying Guidance in a Limited Interval Improves Sample and Distribution Quality in Diffusion Models",
                2024,
                "2404.07724",
            ),
        ),
        needs=("ddpm", "classifier-guidance"),
        minutes=105,
        order=40,
    )
