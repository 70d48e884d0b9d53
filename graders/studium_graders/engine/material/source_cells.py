"""An assignment's source as nbgrader turns it into a release: the same preprocessors in the same order, no database."""

import json
from collections.abc import Iterator
from copy import deepcopy
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import nbformat
from nbformat import NotebookNode
from nbgrader.converters import GenerateAssignment
from nbgrader.nbgraderformat import MetadataValidator
from nbgrader.preprocessors import (
    ClearHiddenTests,
    ClearMarkScheme,
    ClearSolutions,
    ComputeChecksums,
    IncludeHeaderFooter,
    InstantiateTests,
    SaveCells,
)
from studium.errors import CourseError
from traitlets.config import Config
from traitlets.utils.importstring import import_item

from studium_graders.course.folder import modules_of


class SourceCell(msgspec.Struct):
    """A cell on its way: as nbgrader grades it, as students got it, and as the instructor wrote it."""

    graded: NotebookNode
    released: NotebookNode
    reference: str = ""


class SourceNotebook(msgspec.Struct):
    """A notebook of source/ or release/: its metadata and its cells in order."""

    name: str
    metadata: dict[str, Any]
    cells: list[SourceCell]
    changed: list[str] = []  # cells that the gradebook has otherwise


def read_source(path: Path, config: Config, root: Path, *, autotests: bool) -> SourceNotebook:
    """Return the cells of a notebook in source/, with what its solutions were. ``autotests`` runs AUTOTEST lines.

    Raise CourseError where nbgrader could not make a release of it.
    """
    notebook = _read(path)
    resources = {"metadata": {"path": str(path.parent)}, "nbgrader": {"notebook": path.stem}}
    references: list[str] = []
    graded: NotebookNode | None = None
    for kind in _preprocessors(config, root):
        if issubclass(kind, SaveCells):
            graded = deepcopy(notebook)
            continue
        if issubclass(kind, InstantiateTests) and not autotests:
            continue
        if issubclass(kind, ClearSolutions):
            references = list(_references(notebook, kind(config=config)))
        made = kind(config=_rooted(config, root, path.parent))
        try:
            notebook, resources = made(notebook, resources)
        except Exception as error:
            why = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise CourseError(f"{path} must be a source notebook for nbgrader: {why}; correct it") from error
    return _paired(path.stem, graded or notebook, notebook, references)


def read_release(path: Path) -> SourceNotebook:
    """Return the cells of a released notebook, whose hidden parts and solutions are gone."""
    notebook = _read(path)
    return _paired(path.stem, notebook, deepcopy(notebook), [])


def released_source(cell: NotebookNode, config: Config) -> str:
    """Return what students see of a graded cell: no hidden tests, no mark scheme."""
    seen = deepcopy(cell)
    for cleaner in (ClearHiddenTests(config=config), ClearMarkScheme(config=config)):
        cleaner.enforce_metadata = False
        seen, _ = cleaner.preprocess_cell(seen, {}, 0)
    return str(seen.source)


def hides(cell: NotebookNode, config: Config) -> bool:
    """Return whether a cell has hidden tests."""
    return ClearHiddenTests(config=config).begin_test_delimeter in cell.source


def _read(path: Path) -> NotebookNode:
    try:
        text = _with_cell_ids(path.read_text("utf-8-sig"))
        notebook = nbformat.convert(nbformat.reader.reads(text), 4)  # nbformat.reads would validate it, and only log
        checker = MetadataValidator()
        checker.upgrade_notebook_metadata(notebook)
        checker.validate_nb(notebook)
    except Exception as error:
        why = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise CourseError(f"{path} must be a notebook for nbgrader: {why}; correct it or build it again") from error
    language = notebook.metadata.get("kernelspec", {}).get("language", "python")
    if language.lower() != "python":
        raise CourseError(f"grading needs Python notebooks: {path} is in {language}; grade it with nbgrader alone")
    return notebook


def _with_cell_ids(text: str) -> str:
    """Return a cell that has no id of its own one from its position: nbformat would draw it by chance."""
    notebook = json.loads(text)
    if (notebook.get("nbformat"), notebook.get("nbformat_minor", 0)) < (4, 5):
        notebook = json.loads(nbformat.writes(nbformat.reads(text, as_version=4)))
        for cell in notebook["cells"]:
            cell.pop("id", None)
    seen = set[str]()
    for index, cell in enumerate(notebook["cells"]):
        if cell.get("id", "") in {*seen, ""}:
            cell["id"] = next(name for name in numbered(f"cell-{index + 1}") if name not in seen)
        seen.add(cell["id"])
    return json.dumps(notebook | {"nbformat_minor": 5})


def numbered(name: str) -> Iterator[str]:
    """Return ``name``, ``name-2``, ``name-3`` and so on."""
    yield name
    yield from (f"{name}-{number}" for number in count(2))


def _preprocessors(config: Config, root: Path) -> list[type]:
    with modules_of(root):
        return list(map(_preprocessor, GenerateAssignment(config=config).preprocessors))


def _preprocessor(item: str | type) -> type:
    try:
        kind: type = import_item(item) if isinstance(item, str) else item
    except ImportError as error:
        raise CourseError(
            f"nbgrader's setting GenerateAssignment.preprocessors must name what can be imported: got {item!r} "
            f"({error}); correct it"
        ) from error
    return kind


def _rooted(config: Config, root: Path, folder: Path) -> Config:
    """Let header, footer and autotests.yml be found from anywhere: nbgrader itself changes to the course's folder."""
    rooted = deepcopy(config)
    include = IncludeHeaderFooter(config=config)
    for name in ("header", "footer"):
        if value := getattr(include, name):
            rooted.IncludeHeaderFooter[name] = str(root / value)
    tests = InstantiateTests(config=config).autotest_filename
    if not (folder / tests).exists():
        rooted.InstantiateTests.autotest_filename = str(root / tests)
    return rooted


def _references(notebook: NotebookNode, clear: ClearSolutions) -> Iterator[str]:
    """Return the solution of each cell without its markers, "" where it is none."""
    for cell in notebook.cells:
        marks = (clear.begin_solution_delimeter, clear.end_solution_delimeter)
        lines = [line for line in cell.source.split("\n") if not any(mark in line for mark in marks)]
        yield "\n".join(lines) if cell.metadata.get("nbgrader", {}).get("solution") else ""


def _paired(name: str, graded: NotebookNode, released: NotebookNode, references: list[str]) -> SourceNotebook:
    if len(graded.cells) != len(released.cells) or len(references) not in (0, len(graded.cells)):
        raise CourseError(f"grading needs preprocessors that keep all cells: those of {name} do not; configure others")
    references = references or [""] * len(graded.cells)
    cells = [SourceCell(*parts) for parts in zip(graded.cells, released.cells, references, strict=True)]
    return SourceNotebook(name, dict(released.metadata), cells)


def checksummed(cell: NotebookNode) -> NotebookNode:
    """Return the cell with the checksum that nbgrader compares a student's cell with."""
    return ComputeChecksums().preprocess_cell(deepcopy(cell), {}, 0)[0]
