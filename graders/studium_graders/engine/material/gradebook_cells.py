"""What the gradebook says was released: the sources and points that nbgrader grades with. Nothing is written."""

import json
from typing import Any

import msgspec
from nbgrader.api import Assignment, GradeCell, Notebook, SourceCell, TaskCell
from sqlalchemy import select
from sqlalchemy.orm import Session

from studium_graders.gradebook.reading import reading_if_there


class GradebookCell(msgspec.Struct, frozen=True):
    """One cell that nbgrader keeps: its source with hidden tests, and its points (None: it has none)."""

    source: str
    cell_type: str
    points: float | None


class GradebookNotebook(msgspec.Struct, frozen=True):
    """The cells of a notebook by grade id, and its kernelspec."""

    cells: dict[str, GradebookCell]
    kernelspec: dict[str, Any]


def gradebook_notebooks(url: str, assignment: str) -> dict[str, GradebookNotebook]:
    """Return the notebooks of an assignment in the gradebook by name; none where it does not know the assignment.

    Raise CourseError where the database cannot be read.
    """
    with reading_if_there(url, "assignment") as session:
        if session is None:
            return {}
        books = select(Notebook.name, Notebook.id, Notebook.kernelspec).join(Notebook.assignment)
        found = session.execute(books.where(Assignment.name == assignment)).all()
        return {name: GradebookNotebook(_cells(session, id_), _kernelspec(text)) for name, id_, text in found}


def _cells(session: Session, notebook: str) -> dict[str, GradebookCell]:
    """Return the cells of a notebook; columns alone, for an object of nbgrader's comes with sums over the class."""
    points: dict[str, float] = {}
    for kind in (GradeCell, TaskCell):
        found = session.execute(select(kind.name, kind.max_score).where(kind.notebook_id == notebook))
        points |= {row.name: row.max_score for row in found}
    columns = (SourceCell.name, SourceCell.source, SourceCell.cell_type)
    rows = session.execute(select(*columns).where(SourceCell.notebook_id == notebook))
    return {name: GradebookCell(source or "", kind, points.get(name)) for name, source, kind in rows}


def _kernelspec(text: str | None) -> dict[str, Any]:
    try:
        kernelspec = json.loads(text or "{}")
    except ValueError:
        return {}
    return kernelspec if isinstance(kernelspec, dict) else {}
