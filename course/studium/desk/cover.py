"""What a course opens with: a widget that moves before anything has been run."""

from typing import Any

import msgspec

from studium.catalogue.catalogue import Catalogue
from studium.desk.describing import descriptions
from studium.notebooks.files import SAVED_WIDGET


class Cover(msgspec.Struct, frozen=True):
    """The widget as a notebook stores it, and the lesson it comes from."""

    slug: str
    title: str
    widget: dict[str, Any]


def cover_of(catalogue: Catalogue) -> Cover | None:
    """Return the first widget of the first topic marked as cover, or else of the first topic that has one."""
    described = descriptions(catalogue)
    for topic in sorted(catalogue.topics, key=lambda topic: not topic.cover):
        if described[topic.slug].problem:
            continue
        for cell in described[topic.slug].lesson().cells:
            for output in cell.get("outputs", ()):
                if "widget" in cell.metadata.get("tags", ()) and SAVED_WIDGET in output.get("data", {}):
                    return Cover(topic.slug, topic.title, output.data[SAVED_WIDGET])
    return None
