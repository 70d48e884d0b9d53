"""Keep a gradebook safe while an assignment is rebuilt: marks stay, and an error restores the file."""

import math
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from nbformat import NotebookNode
from nbgrader.api import Gradebook, MissingEntry
from sqlalchemy.engine import make_url
from studium.errors import CourseError

from studium_graders.gradebook.errors import WAIT_SECONDS


def gradebook_file(url: str, root: Path) -> Path | None:
    """Return the file of an SQLite gradebook, or None for one on a server or in memory."""
    address = make_url(url)
    return root / address.database if address.get_backend_name() == "sqlite" and address.database else None


@contextmanager
def restored_on_error(url: str, root: Path, scratch: Path) -> Iterator[None]:
    """Restore an SQLite gradebook as it was if the block raises. Other databases are left alone.

    Raise sqlite3.Error for a file that cannot be copied, or that stays locked for too long.
    """
    original, saved = gradebook_file(url, root), scratch / "gradebook.db"
    if original is None:
        yield
        return
    existed = original.is_file()
    if existed:
        _copy(original, saved, most_seconds=WAIT_SECONDS)
    try:
        yield
    except BaseException:
        if existed:
            _copy(saved, original)
        else:
            original.unlink(missing_ok=True)
        raise


def _copy(source: Path, target: Path, most_seconds: float = math.inf) -> None:
    """Copy page by page through SQLite, which waits while other programs hold a lock, but would otherwise never give
    up.
    """
    end = time.monotonic() + most_seconds

    def look(status: int, remaining: int, total: int) -> None:
        if status == sqlite3.SQLITE_BUSY and time.monotonic() > end:
            raise sqlite3.OperationalError("database is locked")

    with closing(sqlite3.connect(source)) as read, closing(sqlite3.connect(target)) as written:
        read.backup(written, progress=look)


def require_same_cells(url: str, assignment: str, notebooks: Mapping[str, NotebookNode]) -> None:
    """Raise CourseError if submissions exist and a notebook or graded cell would come or go: marks would be lost."""
    with Gradebook(url) as gradebook:
        try:
            found = gradebook.find_assignment(assignment)
        except MissingEntry:
            return
        if not found.submissions:
            return
        count = len(found.submissions)
        before = {book.name: {cell.name for cell in book.source_cells} for book in found.notebooks}
    after = {name: set(_grade_ids(notebook)) for name, notebook in notebooks.items()}
    change = _change(_pairs(before), _pairs(after))
    if change:
        many = f"{count} submission{'s' if count != 1 else ''}"
        raise CourseError(
            f"{assignment} has {many}, so its graded cells must stay: {change}; give the new version another name"
        )


def _pairs(cells: Mapping[str, set[str]]) -> set[str]:
    return {f"{notebook}/{grade_id}" for notebook, ids in cells.items() for grade_id in ids}


def _change(before: set[str], after: set[str]) -> str:
    for what, ids in (("would be removed", before - after), ("would be added", after - before)):
        if ids:
            more = f" and {len(ids) - 1} more" if len(ids) > 1 else ""
            return f"{min(ids)}{more} {what}"
    return ""


def _grade_ids(notebook: NotebookNode) -> Iterator[str]:
    for cell in notebook.cells:
        marks = cell.metadata.get("nbgrader", {})
        if any(marks.get(flag) for flag in ("grade", "solution", "locked", "task")):
            yield marks["grade_id"]
