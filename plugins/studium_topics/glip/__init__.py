"""GLIP: detection as grounding, in which the words of a caption are the classes of a detector."""

from collections.abc import Iterable

from studium import Paper, Topic, hookimpl


@hookimpl
def studium_topics() -> Iterable[Topic]:
    """Return the topic `glip`."""
    yield Topic(
        slug="glip",
        title="GLIP: grounded language-image pre-training",
        track="Vision and language",
        summary="Replace a detector's list of classes by the words of a caption, train it on captions with boxes, and "
        "find what was never boxed: word-region scores, the alignment loss, boxes, average precision, and controls.",
        package=__name__,
        papers=(
            Paper("Grounded Language-Image Pre-training", 2021, "2112.03857"),
            Paper("Focal Loss for Dense Object Detection", 2017, "1708.02002"),
            Paper("MDETR: Modulated Detection for End-to-End Multi-Modal Understanding", 2021, "2104.12763"),
            Paper(
                "Grounding DINO: Marrying DINO with Grounded Pre-Training for Open-Set Object Detection",
                2023,
                "2303.05499",
            ),
        ),
        needs=("clip",),
        minutes=135,
        order=43,
    )
