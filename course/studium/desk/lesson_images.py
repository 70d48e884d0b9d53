"""One image for each lesson: its first diagram, as the SVG text that its topic wrote."""

from collections.abc import Mapping

from studium.desk.description import Description
from studium.notebooks import SAVED_WIDGET


def lesson_images(described: Mapping[str, Description]) -> dict[str, str]:
    """Return the SVG text of each lesson's first diagram by slug; a lesson without one is left out."""
    return {slug: svg for slug, description in described.items() if (svg := _first_diagram(description))}


def _first_diagram(description: Description) -> str:
    if description.problem:
        return ""
    for cell in description.lesson().cells:
        if "diagram" not in cell.metadata.get("tags", ()):
            continue
        for output in cell.get("outputs", ()):
            svg = output.get("data", {}).get(SAVED_WIDGET, {}).get("state", {}).get("svg", "")
            if svg:
                return str(svg)
    return ""
