"""ControlNet: a drawing says where, a trainable copy listens, and the pretrained diffuser stays locked."""

from collections.abc import Iterable

from studium import Paper, Topic, hookimpl


@hookimpl
def studium_topics() -> Iterable[Topic]:
    """Return the topic `controlnet`."""
    yield Topic(
        slug="controlnet",
        title="ControlNet: conditional control",
        track="Diffusion",
        summary="Lock a diffusion model, train a copy of its encoder behind zero convolutions, and draw masks that "
        "its images follow. Find out which gradients are alive at step 0, and which designs can never carry space.",
        package=__name__,
        papers=(
            Paper("Adding Conditional Control to Text-to-Image Diffusion Models", 2023, "2302.05543"),
            Paper(
                "T2I-Adapter: Learning Adapters to Dig out More Controllable Ability for Text-to-Image Diffusion "
                "Models",
                2023,
                "2302.08453",
            ),
        ),
        needs=("ddpm", "cfg"),
        minutes=110,
        order=42,
    )
