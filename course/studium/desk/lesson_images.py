"""One image for each lesson: its first diagram, as the SVG text that its topic wrote."""

from collections.abc import Mapping

from nbformat import NotebookNode

from studium.desk.description import Description
from studium.notebooks.files import SAVED_WIDGET


def lesson_images(described: Mapping[str, Description]) -> dict[str, str]:
    """Return the SVG text of each lesson's first diagram by slug; lessons without a diagram are left out."""
    sound = {slug: one.lesson() for slug, one in described.items() if not one.problem}
    return {slug: svg for slug, lesson in sound.items() if (svg := first_diagram(lesson))}


def first_diagram(notebook: NotebookNode) -> str:
    """Return the SVG text of the first diagram that a lesson drew, or ""."""
    for cell in notebook.cells:
        if "diagram" not in cell.metadata.get("tags", ()):
            continue
        for output in cell.get("outputs", ()):
            svg = output.get("data", {}).get(SAVED_WIDGET, {}).get("state", {}).get("svg", "")
            if svg:
                return str(svg)
    return ""
