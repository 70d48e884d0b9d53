"""Latent diffusion: an autoencoder first, then diffusion on what is left of the image."""

from collections.abc import Iterable

from studium import Paper, Topic, hookimpl


@hookimpl
def studium_topics() -> Iterable[Topic]:
    """Return the one topic of this package."""
    yield Topic(
        slug="latent-diffusion",
        title="Latent diffusion (Stable Diffusion)",
        track="Diffusion",
        summary="Compress images with an autoencoder of your own, predict exactly which latent dimensions survive its "
        "loss, and let words steer a diffusion that never sees a pixel. Then find the factor that compresses too much.",
        package=__name__,
        papers=(
            Paper("High-Resolution Image Synthesis with Latent Diffusion Models", 2022, "2112.10752"),
            Paper("Auto-Encoding Variational Bayes", 2014, "1312.6114"),
            Paper("Don't Blame the ELBO! A Linear VAE Perspective on Posterior Collapse", 2019, "1911.02469"),
            Paper("Common Diffusion Noise Schedules and Sample Steps are Flawed", 2023, "2305.08891"),
        ),
        needs=("ddpm", "cfg", "encoder-only"),
        minutes=120,
        order=41,
    )
