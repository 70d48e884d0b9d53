"""What an assignment is graded against, for any course of nbgrader's: ours, or one that has never heard of Studium.

The cells come from ``source/`` by nbgrader's own preprocessors (without it: from ``release/``). What the gradebook says
was released wins, as it does in nbgrader: the sources of locked cells and tests, the stubs, the points.
"""

import json
import os
import re
import secrets
import tempfile
from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any
from unittest import mock

from nbformat import NotebookNode
from nbgrader.converters import Autograde
from nbgrader.coursedir import CourseDirectory
from nbgrader.preprocessors import InstantiateTests
from nbgrader.utils import find_all_files
from studium.errors import CourseError
from traitlets.config import Config

from studium_graders.course.folder import folder
from studium_graders.course.limits import Limits
from studium_graders.course.sharing import Sharing
from studium_graders.engine.material.assignment import Cell, Kind, Material, NotebookMaterial
from studium_graders.engine.material.gradebook_cells import GradebookNotebook, gradebook_notebooks
from studium_graders.engine.material.source_cells import (
    SourceCell,
    SourceNotebook,
    checksummed,
    hides,
    numbered,
    read_release,
    read_source,
    released_source,
)

_CELL_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_FILES_MB = 512


def material_of(config: Config, root: Path, assignment: str, limits: Limits) -> Material:
    """Return the material of an assignment of the course in ``root`` under a configuration of nbgrader's.

    Raise CourseError where there is nothing to grade against, or source and gradebook do not agree.
    """
    coursedir = CourseDirectory(config=config, assignment_id=assignment)
    known = gradebook_notebooks(coursedir.db_url, assignment)
    books = [_agreed(book, known, config) for book in _notebooks(coursedir, config, root, known)]
    if missing := sorted(set(known) - {book.name for book in books}):
        raise CourseError(
            f"{assignment} needs the notebook {missing[0]}.ipynb, which the gradebook has: neither source/ nor "
            "release/ has it; put it back"
        )
    if not books:
        raise CourseError(
            f"grading needs source/{assignment} or release/{assignment}: there is no notebook in either; run: studium "
            f"assign {assignment}, or nbgrader generate_assignment {assignment}"
        )
    notebooks = tuple(_notebook(book, config) for book in books)
    files = dict(_files(coursedir))
    own = frozenset(_excluded(config, assignment))
    changed = tuple(f"{book.name}/{cell}" for book in books for cell in book.changed)
    return Material(
        assignment,
        notebooks,
        files,
        limits,
        _secret(Sharing(root, coursedir.groupshared)),
        own_files=own,
        changed=changed,
    )


def _excluded(config: Config, assignment: str) -> list[str]:
    """Name the files that students may have changed, by nbgrader's own setting."""
    names = Autograde(config=config).exclude_overwriting.get(assignment, [])
    if not isinstance(names, list | tuple | set):
        raise CourseError(
            "nbgrader's setting Autograde.exclude_overwriting must give a list of files for each assignment: got "
            f"{names!r} for {assignment}; correct it"
        )
    return [str(name) for name in names]


def _notebooks(
    coursedir: CourseDirectory, config: Config, root: Path, known: Mapping[str, GradebookNotebook]
) -> Iterator[SourceNotebook]:
    """Return each notebook from where it agrees with the gradebook, source/ before release/."""
    places = {
        step: {path.stem: path for path in sorted(folder(coursedir, name, coursedir.assignment_id).glob("*.ipynb"))}
        for step, name in (("source", coursedir.source_directory), ("release", coursedir.release_directory))
    }
    for name in places["source"] or places["release"]:
        if known and name not in known:
            continue  # as nbgrader: what it never released is not graded
        autotests = name not in known
        readers = (
            ("source", lambda path, run=autotests: read_source(path, config, root, autotests=run)),
            ("release", read_release),
        )
        with mock.patch("jsonschema.Draft4Validator.check_schema"):  # nbgrader's own is checked anew for each cell
            found = [read(places[step][name]) for step, read in readers if name in places[step]]
        yield next((book for book in found if _same_cells(book, known.get(name))), found[0])


def _same_cells(book: SourceNotebook, known: GradebookNotebook | None) -> bool:
    return known is None or {marks["grade_id"] for marks in _marked(book)} == set(known.cells)


def _marked(book: SourceNotebook) -> Iterator[dict[str, Any]]:
    for cell in book.cells:
        marks = cell.graded.metadata.get("nbgrader", {})
        if any(marks.get(flag) for flag in ("grade", "solution", "locked", "task")):
            yield marks


def _agreed(book: SourceNotebook, known: Mapping[str, GradebookNotebook], config: Config) -> SourceNotebook:
    """Put in what the gradebook says was released. Raise CourseError where it has other cells."""
    kept = known.get(book.name)
    if kept is None:
        return book
    if not _same_cells(book, kept):
        ids = {marks["grade_id"] for marks in _marked(book)}
        which = min(ids ^ set(kept.cells))
        where = "the gradebook" if which in kept.cells else f"source/ of {book.name}"
        raise CourseError(
            f"the gradebook and {book.name}.ipynb must have the same graded cells: only {where} has {which!r}; "
            "build the assignment again, or put the notebook back as it was released"
        )
    if any(cell.reference for cell in book.cells):  # from source/
        book.changed += _changed_cells(book, kept, config)
    for cell in book.cells:
        _put_released(cell, kept, config)
    if kept.kernelspec:
        book.metadata["kernelspec"] = kept.kernelspec
    return book


def _changed_cells(book: SourceNotebook, kept: GradebookNotebook, config: Config) -> Iterator[str]:
    """Return the graded cells that are not as they were released; of an AUTOTEST line nobody knows what it was."""
    mark = InstantiateTests(config=config).autotest_delimiter
    for cell in book.cells:
        marks = cell.graded.metadata.get("nbgrader", {})
        released = kept.cells.get(marks.get("grade_id", ""))
        if released and mark not in cell.graded.source:
            points = released.points if marks.get("grade") else None
            if cell.graded.source != released.source or (points is not None and points != marks.get("points")):
                yield marks["grade_id"]


def _put_released(cell: SourceCell, kept: GradebookNotebook, config: Config) -> None:
    marks = cell.graded.metadata.get("nbgrader", {})
    released = kept.cells.get(marks.get("grade_id", ""))
    if released is None:
        return
    cell.graded.source = released.source
    cell.graded.cell_type = cell.released.cell_type = released.cell_type
    cell.released.source = released_source(cell.graded, config)
    if released.points is not None:
        marks["points"] = released.points


def _notebook(book: SourceNotebook, config: Config) -> NotebookMaterial:
    topic = str(book.metadata.get("studium", {}).get("topic", ""))
    pairs = list(zip(book.cells, _ids(book), strict=True))
    cells = tuple(_cell(cell, cell_id, topic, config) for cell, cell_id in pairs)
    document = {
        "cells": [_document_cell(cell, cell_id) for cell, cell_id in pairs],
        "metadata": book.metadata,
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return NotebookMaterial(book.name, cells, json.dumps(document, ensure_ascii=False, sort_keys=True).encode())


def _ids(book: SourceNotebook) -> list[str]:
    """Return each cell its grade id, or else its own id, or else one from its position."""
    wanted = [cell.graded.metadata.get("nbgrader", {}).get("grade_id", "") for cell in book.cells]
    taken = set(filter(None, wanted))
    ids: list[str] = []
    for index, (cell, grade_id) in enumerate(zip(book.cells, wanted, strict=True)):
        own = str(cell.graded.get("id", ""))
        cell_id = grade_id if _CELL_ID.fullmatch(grade_id) else own
        if cell_id in ids or not _CELL_ID.fullmatch(cell_id) or (cell_id != grade_id and cell_id in taken):
            cell_id = next(name for name in numbered(f"cell-{index + 1}") if name not in taken and name not in ids)
        ids.append(cell_id)
    return ids


def _cell(cell: SourceCell, cell_id: str, topic: str, config: Config) -> Cell:
    marks = cell.graded.metadata.get("nbgrader", {})
    own = cell.graded.metadata.get("studium", {})
    is_test = own.get("role") == "test"
    kind = _kind(cell.graded)
    graded = bool(marks.get("grade") or marks.get("task"))
    hidden = kind == "test" and hides(cell.graded, config)
    return Cell(
        id=cell_id,
        kind=kind,
        source=cell.graded.source if kind == "test" or _is_locked(marks) else cell.released.source,
        grade_id=str(marks.get("grade_id", "")),
        points=float(marks.get("points") or 0) if graded else 0.0,
        locked=_is_locked(marks),
        graded=graded,
        hidden=hidden,
        released=cell.released.source if hidden else "",
        reference=cell.reference,
        topic=topic if is_test else "",
        exercise=str(own.get("exercise", "")) if is_test else "",
        test=str(own.get("test", "")) if is_test else "",
    )


def _kind(cell: NotebookNode) -> Kind:
    if cell.cell_type != "code":
        return "text"
    marks = cell.metadata.get("nbgrader", {})
    if marks.get("solution"):
        return "answer"
    return "test" if marks.get("grade") else "given"


def _is_locked(marks: Mapping[str, Any]) -> bool:
    return not marks.get("solution") and bool(marks.get("grade") or marks.get("locked"))


def _document_cell(cell: SourceCell, cell_id: str) -> dict[str, Any]:
    """Return a cell as students got it, with the checksum of what nbgrader grades."""
    metadata = deepcopy(checksummed(cell.graded).metadata)
    made = {"cell_type": cell.released.cell_type, "id": cell_id, "metadata": metadata, "source": cell.released.source}
    if attachments := cell.released.get("attachments"):
        made["attachments"] = attachments
    return made | ({"execution_count": None, "outputs": []} if cell.released.cell_type == "code" else {})


def _files(coursedir: CourseDirectory) -> Iterator[tuple[str, bytes]]:
    """Return what lies beside the notebooks and nbgrader hands out. Raise CourseError for more than can be copied."""
    steps = (coursedir.source_directory, coursedir.release_directory)
    places = [folder(coursedir, step, coursedir.assignment_id) for step in steps]
    place = next((place for place in places if place.is_dir()), places[0])
    size = 0
    for name in sorted(find_all_files(str(place), [*coursedir.ignore, "*.ipynb"])):
        content = Path(name).read_bytes()
        size += len(content)
        if size > _FILES_MB * 2**20:
            raise CourseError(
                f"the files beside the notebooks must be at most {_FILES_MB} MB together: those in {place} are more; "
                "put data where it is shared and tell the notebook its place"
            )
        yield Path(name).relative_to(place).as_posix(), content


def _secret(sharing: Sharing) -> bytes:
    """Return the course's secret, which seeds its test data; made when it is first needed."""
    path = sharing.root / ".studium" / "secret"
    if not path.is_file():
        path.parent.mkdir(exist_ok=True)
        handle, made = tempfile.mkstemp(dir=path.parent)  # readable for its owner alone
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(32))
        sharing.share(Path(made))
        try:
            os.link(made, path)  # the first of several graders wins
        except FileExistsError:
            pass
        except OSError:  # a file system without hard links
            Path(made).replace(path)
        Path(made).unlink(missing_ok=True)
    return path.read_bytes()
