"""What the gradebook says was released: the sources and points that nbgrader grades with. Nothing is written."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from nbgrader.api import Assignment, GradeCell, Notebook, SourceCell, TaskCell
from sqlalchemy import create_engine, inspect, select
from sqlalchemy.engine import Engine, make_url
from sqlalchemy.orm import Session
from studium.errors import CourseError

from studium_graders.gradebook_errors import gradebook_errors


class GradebookCell(msgspec.Struct, frozen=True):
    """One cell that nbgrader keeps: its source with hidden tests, its checksum, its points (None: it has none)."""

    source: str
    cell_type: str
    locked: bool
    checksum: str
    points: float | None


class GradebookNotebook(msgspec.Struct, frozen=True):
    """The cells of a notebook by grade id, and its kernelspec."""

    cells: dict[str, GradebookCell]
    kernelspec: dict[str, Any]


def gradebook_notebooks(url: str, assignment: str) -> dict[str, GradebookNotebook]:
    """Give the notebooks of an assignment in the gradebook by name; none where it does not know the assignment.

    Raise CourseError where the database cannot be read.
    """
    with gradebook_errors(url), _session(url) as session:
        if session is None:
            return {}
        books = select(Notebook.name, Notebook.id, Notebook.kernelspec).join(Notebook.assignment)
        found = session.execute(books.where(Assignment.name == assignment)).all()
        return {name: GradebookNotebook(_cells(session, id_), _kernelspec(text)) for name, id_, text in found}


@contextmanager
def _session(url: str) -> Iterator[Session | None]:
    """Open the database; None where there is no file or no table yet."""
    address = make_url(url)
    file = address.database or ""
    if address.get_backend_name() == "sqlite" and file and not Path(file).is_file():
        yield None
        return
    try:
        engine: Engine = create_engine(address)
    except ImportError as error:
        raise CourseError(
            f"the gradebook at {address.render_as_string()} needs {error.name}, which is not installed; install it, "
            "or for PostgreSQL run pip install 'studium[postgres]' and let the address begin with postgresql+psycopg2"
        ) from error
    try:
        if not inspect(engine).has_table("assignment"):
            yield None
            return
        with Session(engine) as session:
            yield session
    finally:
        engine.dispose()


def _cells(session: Session, notebook: str) -> dict[str, GradebookCell]:
    """Give the cells of a notebook; columns alone, for an object of nbgrader's comes with sums over the class."""
    points: dict[str, float] = {}
    for kind in (GradeCell, TaskCell):
        found = session.execute(select(kind.name, kind.max_score).where(kind.notebook_id == notebook))
        points |= {row.name: row.max_score for row in found}
    columns = (SourceCell.source, SourceCell.cell_type, SourceCell.locked, SourceCell.checksum)
    rows = session.execute(select(SourceCell.name, *columns).where(SourceCell.notebook_id == notebook))
    return {
        name: GradebookCell(source or "", kind, bool(locked), checksum or "", points.get(name))
        for name, source, kind, locked, checksum in rows
    }


def _kernelspec(text: str | None) -> dict[str, Any]:
    try:
        kernelspec = json.loads(text or "{}")
    except ValueError:
        return {}
    return kernelspec if isinstance(kernelspec, dict) else {}
