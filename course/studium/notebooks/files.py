"""Read and write notebook files: a bad file gets a sentence, and a write is all or nothing."""

import os
import re
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from studium.errors import NotebookError, UsageError
from studium.notebooks.cell_ids import cell_id
from studium.notebooks.editions import exercise_of, role
from studium.notebooks.needed_cells import CodeCell, needed

SAVED_WIDGET = "application/vnd.studium.widget+json"  # a widget's state; its code comes from the installation
_OPENING = re.compile(r"open_lesson\(\s*[\"']([a-z0-9-]+)[\"']")
_SAVE_SECONDS = 2.0
_NOT_RUN = ("check", "experiment", "test")


def read_notebook(path: Path) -> NotebookNode:
    """Read a notebook of any nbformat version as version 4; raise UsageError or NotebookError if that is impossible."""
    try:
        return _read_now(path)
    except NotebookError:
        _wait_for_save(path)
        return _read_now(path)


def _wait_for_save(path: Path) -> None:
    """Wait while Jupyter saves: it writes into the file itself, and keeps the old text next to it until it is done."""
    kept, end = path.with_name(f".~{path.name}"), time.monotonic() + _SAVE_SECONDS
    while kept.exists() and time.monotonic() < end:
        time.sleep(0.02)


def _read_now(path: Path) -> NotebookNode:
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        raise UsageError(f"a notebook is needed, but the file {path} does not exist; check the name") from None
    except IsADirectoryError:
        raise UsageError(f"a notebook is needed, but {path} is a folder; name a file in it") from None
    except UnicodeDecodeError as error:
        raise NotebookError(f"{path} cannot be read as a notebook: {error}; restore it from a copy") from error
    return parse_notebook(text, path)


def parse_notebook(text: str, path: Path) -> NotebookNode:
    """Read a notebook from its JSON; ``path`` names it in error messages."""
    try:
        notebook = nbformat.reads(text, as_version=4)
        _require_form(notebook)
    except Exception as error:
        why = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise NotebookError(f"{path} cannot be read as a notebook: {why}; restore it from a copy") from error
    return notebook


def _require_form(notebook: NotebookNode) -> None:
    if not isinstance(notebook.get("cells"), list):
        raise ValueError("it has no list of cells")
    for part in (notebook, *notebook.cells):
        metadata = part.metadata
        if not isinstance(metadata, dict) or not isinstance(metadata.get("studium", {}), dict):
            raise ValueError("its metadata is not a table")
    for cell in notebook.cells:
        if not isinstance(cell.source, str) or not isinstance(cell.cell_type, str):
            raise ValueError("a cell has no text")


def write_notebook(notebook: NotebookNode, path: Path) -> None:
    """Write a notebook so that a full disk or a crash leaves the old file intact."""
    write_text(nbformat.writes(notebook) + "\n", path)


def write_text(text: str, path: Path, mode: int = 0o644) -> None:
    """Write a text file atomically, through a temporary file next to it. ``mode`` applies whatever the umask."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(mode)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def slug_in(notebook: NotebookNode, path: Path) -> str:
    """Return the slug of the topic that a notebook was built from, even if its metadata was lost."""
    if slug := notebook.metadata.get("studium", {}).get("topic"):
        return str(slug)
    for cell in notebook.cells:
        if found := _OPENING.search(cell.source):
            return found[1]
    if "nbgrader" in (kept := {key for cell in notebook.cells for key in cell.metadata}) and "studium" not in kept:
        raise NotebookError(
            f"{path} was written by your instructor and has no topic: run its cells from the top to check it"
        )
    raise NotebookError(
        f'{path} does not name its topic: the cell with open_lesson("…") is missing; restore its first cell'
    )


def cells_to_run(notebook: NotebookNode, slug: str, known: Iterable[str], wanted: Iterable[str]) -> list[CodeCell]:
    """Return the code cells that the ``wanted`` of the ``known`` exercises need, without checks, tests, trainings."""
    cells = [
        (role(cell), CodeCell(cell.source, answered_in(cell, slug, known)))
        for cell in notebook.cells
        if cell.cell_type == "code" and role(cell) not in _NOT_RUN and not _is_graded_test(cell)
    ]
    first = [number for number, (part, cell) in enumerate(cells) if part == "setup" or cell.exercise in wanted]
    return [cells[number][1] for number in needed([cell.source for _, cell in cells], first)]


def cells_up_to(notebook: NotebookNode, name: str) -> list[str]:
    """Return the ids of the code cells that the cell called ``name`` needs, itself last, without checks and tests.

    Raise UsageError if there is no such cell.
    """
    cells = [
        cell
        for cell in notebook.cells
        if cell.cell_type == "code" and role(cell) not in ("check", "test") and not _is_graded_test(cell)
    ]
    place = next((number for number, cell in enumerate(cells) if cell.get("id") == name), None)
    if place is None:
        raise UsageError(f"the notebook has no code cell called {name!r}; open the lesson again")
    setup = [number for number, cell in enumerate(cells[:place]) if role(cell) == "setup"]
    return [str(cells[number].id) for number in needed([cell.source for cell in cells[: place + 1]], [*setup, place])]


def answered_in(cell: NotebookNode, slug: str, known: Iterable[str]) -> str:
    """Return the name of the exercise answered in a code cell, even if its metadata was lost, or ""."""
    if name := exercise_of(cell):
        return name
    for name in known:
        if cell.get("id") == cell_id(slug, name) or re.search(rf"^def {name}\(", cell.source, re.MULTILINE):
            return name
    return ""


def answer_cell(notebook: NotebookNode, slug: str, name: str) -> NotebookNode | None:
    """Return the cell with the answer to an exercise: the lesson's own, or else one that defines it, or else None."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code" and role(cell) not in _NOT_RUN]
    found = [cell for cell in cells if answered_in(cell, slug, [name]) == name]
    return next((cell for cell in found if role(cell) == "exercise"), found[0] if found else None)


def _is_graded_test(cell: NotebookNode) -> bool:
    marks = cell.metadata.get("nbgrader", {})
    return bool(marks.get("grade")) and not marks.get("solution")
