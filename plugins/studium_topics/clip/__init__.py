"""CLIP: two towers that put images and sentences into one space, and names for what was never labelled."""

from collections.abc import Iterable

from studium import Paper, Topic, hookimpl


@hookimpl
def studium_topics() -> Iterable[Topic]:
    """Return the topic `clip`."""
    yield Topic(
        slug="clip",
        title="CLIP: images and text in one space",
        track="Vision and language",
        summary="Learn which caption belongs to which image, then name pairs of colour and form that no image had: "
        "the symmetric loss, its temperature and its floor, prompts, retrieval, and the gap between the modalities.",
        package=__name__,
        papers=(
            Paper("Learning Transferable Visual Models From Natural Language Supervision", 2021, "2103.00020"),
            Paper("Representation Learning with Contrastive Predictive Coding", 2018, "1807.03748"),
            Paper(
                "Mind the Gap: Understanding the Modality Gap in Multi-modal Contrastive Representation Learning",
                2022,
                "2203.02053",
            ),
            Paper(
                "When and why vision-language models behave like bags-of-words, and what to do about it?",
                2022,
                "2210.01936",
            ),
        ),
        needs=("encoder-only",),
        minutes=100,
        order=25,
    )
