"""Denoising diffusion probabilistic models: noise that is easy to add, and a network that takes it away again."""

from collections.abc import Iterable

from studium import Paper, Topic, hookimpl


@hookimpl
def studium_topics() -> Iterable[Topic]:
    """Return the one topic of this package."""
    yield Topic(
        slug="ddpm",
        title="Denoising diffusion (DDPM)",
        track="Diffusion",
        summary="Turn data into noise in many small steps, train a network to predict the noise, and run the steps "
        "backwards: your own loop draws digits, and an exact variance finds what is wrong with a sampler.",
        package=__name__,
        papers=(
            Paper("Denoising Diffusion Probabilistic Models", 2020, "2006.11239"),
            Paper("Denoising Diffusion Implicit Models", 2020, "2010.02502"),
            Paper("Improved Denoising Diffusion Probabilistic Models", 2021, "2102.09672"),
            Paper("Common Diffusion Noise Schedules and Sample Steps are Flawed", 2023, "2305.08891"),
        ),
        needs=("ncsn",),
        minutes=135,
        order=20,
        cover=True,
    )
