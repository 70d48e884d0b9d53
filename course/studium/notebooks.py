"""Reading and writing notebook files: a bad one gets a sentence, and a write is all or nothing."""

import os
import re
import tempfile
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from studium.cell_ids import cell_id
from studium.check_process import CodeCell
from studium.editions import exercise_of, role
from studium.errors import NotebookError, UsageError
from studium.topic import Topic

_OPENING = re.compile(r"open_lesson\(\s*[\"']([a-z0-9-]+)[\"']")
_NOT_RUN = ("check", "experiment", "test")


def read_notebook(path: Path) -> NotebookNode:
    """Read a notebook of any nbformat version as version 4; raise UsageError or NotebookError if it cannot be."""
    try:
        notebook = nbformat.read(path, as_version=4)
    except FileNotFoundError:
        raise UsageError(f"a notebook is needed: there is no file {path}; check the name") from None
    except IsADirectoryError:
        raise UsageError(f"a notebook is needed: {path} is a folder; name a file in it") from None
    except Exception as error:
        why = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise NotebookError(f"{path} is not a notebook that can be read: {why}; restore it from a copy") from error
    if not isinstance(notebook.get("cells"), list):
        raise NotebookError(f"{path} is not a notebook: it has no list of cells; restore it from a copy")
    return notebook


def write_notebook(notebook: NotebookNode, path: Path) -> None:
    """Write a notebook so that a full disk or a crash leaves the old file as it was."""
    write_text(nbformat.writes(notebook) + "\n", path)


def write_text(text: str, path: Path) -> None:
    """Write a text file all at once: into a file beside it, then over it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def slug_in(notebook: NotebookNode, path: Path) -> str:
    """Give the slug of the topic that a notebook was built from, even where its metadata was lost."""
    if slug := notebook.metadata.get("studium", {}).get("topic"):
        return str(slug)
    for cell in notebook.cells:
        if found := _OPENING.search(cell.source):
            return found[1]
    raise NotebookError(
        f'{path} does not say its topic: no cell opens it with open_lesson("…"); restore its first cell'
    )


def cells_to_run(notebook: NotebookNode, topic: Topic) -> list[CodeCell]:
    """Give the code cells that define answers: the learner's and the lesson's, without checks, tests and trainings."""
    return [
        CodeCell(cell.source, _answers(cell, topic))
        for cell in notebook.cells
        if cell.cell_type == "code" and role(cell) not in _NOT_RUN and not _is_graded_test(cell)
    ]


def _answers(cell: NotebookNode, topic: Topic) -> str:
    if name := exercise_of(cell):
        return name
    for name in topic.exercises:
        if cell.get("id") == cell_id(topic.slug, name) or re.search(rf"^def {name}\(", cell.source, re.MULTILINE):
            return name
    return ""


def _is_graded_test(cell: NotebookNode) -> bool:
    marks = cell.metadata.get("nbgrader", {})
    return bool(marks.get("grade")) and not marks.get("solution")
