"""The folder autograded/STUDENT/ASSIGNMENT: canonical notebooks with outputs, for formgrader and feedback."""

import json
import os
import re
import stat
from collections.abc import Collection, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

from studium_graders.engine.intake.reserved_names import TIMESTAMP
from studium_graders.engine.material.assignment import CanonicalSubmission, Material, NotebookMaterial
from studium_graders.engine.material.results import WAITING, CellRun, NotebookResult, SubmissionResult, TestResult
from studium_graders.results.mistakes import Sentences
from studium_graders.results.safe_markdown import inert
from studium_graders.results.safe_outputs import error_output, safe_outputs, value_output
from studium_graders.results.store import write_whole

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")  # as Python prints it: <Model object at 0x7f…>


def autograded_files(
    submission: CanonicalSubmission, result: SubmissionResult, material: Material, sentences: Sentences
) -> dict[str, bytes]:
    """Return what belongs in the folder: relative path to content."""
    files = material.files | submission.files  # intake dropped what a student may not replace
    if submission.timestamp:
        files[TIMESTAMP] = f"{submission.timestamp}\n".encode()
    results = {book.name: book for book in result.notebooks}
    texts = {book.name: {cell.id: cell.source for cell in book.cells} for book in material.notebooks}
    for book in submission.notebooks:
        if not book.missing:
            document = _inert(json.loads(book.document), texts.get(book.name, {}))
            files[f"{book.name}.ipynb"] = _document(document, results.get(book.name), sentences)
    return files


def write_folder(folder: Path, files: Mapping[str, bytes], mode: int) -> None:
    """Make ``folder`` contain exactly these files; each file changes in one step or stays. Raise OSError.

    Whatever is in the way is removed: a file where a folder must be, a folder where a file must be, and every link.
    """
    wanted = {folder.joinpath(*PurePosixPath(path).parts): content for path, content in files.items()}
    _clear(folder, wanted)
    for path, content in wanted.items():
        if folder not in path.parents or ".." in path.parts:
            continue
        if not _has(path, content):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, content, mode)


def seen_notebooks(folder: Path, files: Mapping[str, bytes], material: Material) -> frozenset[str]:
    """Return the notebooks among ``files`` that look the same to the person who marked those in ``folder``.

    Addresses of objects, which differ between runs, do not count as changes, and neither do texts that nobody marks.
    """
    books = ((book, f"{book.name}.ipynb") for book in material.notebooks)
    return frozenset(book.name for book, path in books if path in files and _has_seen(folder / path, files[path], book))


def _has_seen(path: Path, content: bytes, book: NotebookMaterial) -> bool:
    unmarked = {cell.id for cell in book.cells} - {cell.id for cell in book.judged().cells}
    try:
        return _shown(path.read_bytes(), unmarked) == _shown(content, unmarked)
    except (OSError, ValueError, LookupError, TypeError):  # written there by another program
        return False


def _shown(notebook: bytes, unmarked: Collection[str]) -> list[tuple[str, ...]]:
    """Return each cell's id, type, source and everything else that is shown."""
    return [
        (cell["id"], cell["cell_type"], cell["source"], *(_plain(cell.get(key)) for key in ("outputs", "attachments")))
        for cell in json.loads(notebook)["cells"]
        if cell["id"] not in unmarked
    ]


def _plain(shown: Any) -> str:
    return _ADDRESS.sub("", json.dumps(shown, sort_keys=True))


def _clear(folder: Path, wanted: Collection[Path]) -> None:
    """Remove everything except the wanted regular files and the folders containing them, following no links."""
    for where, folders, names in os.walk(folder, topdown=False):
        for path in (Path(where, name) for name in names):
            if path not in wanted or not stat.S_ISREG(path.lstat().st_mode):
                path.unlink()
        for path in (Path(where, name) for name in folders):
            if path.is_symlink():
                path.unlink()
            elif not any(path.iterdir()):
                path.rmdir()


def _has(path: Path, content: bytes) -> bool:
    try:
        return path.stat().st_size == len(content) and path.read_bytes() == content
    except OSError:
        return False


def _inert(document: dict[str, Any], own: Mapping[str, str]) -> dict[str, Any]:
    """Return the notebook with each text made inert except the assignment's ``own``, by the id of the cell."""
    for cell in document["cells"]:
        if cell["cell_type"] == "markdown" and cell["source"] != own.get(cell.get("id", "")):
            cell["source"] = inert(cell["source"], cell.get("attachments", ()))
    return document


def _document(document: dict[str, Any], result: NotebookResult | None, sentences: Sentences) -> bytes:
    tests = {test.grade_id: test for test in result.tests if test.grade_id} if result else {}
    runs = result.runs if result else {}
    for cell in document["cells"]:
        if cell["cell_type"] == "code":
            test = tests.get(cell["metadata"].get("nbgrader", {}).get("grade_id", ""))
            cell["outputs"] = _outputs(runs.get(cell.get("id", "")), test, sentences)
    text = json.dumps(document, ensure_ascii=False, sort_keys=True)
    return msgspec.json.format(text.encode("utf-8", "replace"), indent=1)


def _outputs(run: CellRun | None, test: TestResult | None, sentences: Sentences) -> list[dict[str, Any]]:
    """Return what a cell shows: what it printed, and why a test lost points, in the form nbgrader scores.

    A hidden test shows only its message, because its output may reveal its data.
    """
    printed = safe_outputs(run.outputs) if run and not (test and test.hidden) else []
    if test is None or (test.outcome in WAITING and not test.message):
        return printed
    kept = [output for output in printed if output.get("name") == "stdout" or output["output_type"] == "display_data"]
    if test.outcome == "passed":  # nbgrader takes a value for partial credit, and a warning for a failure
        return kept
    if test.outcome == "partial":
        return [*kept, value_output(repr(test.points))]
    why = " ".join(filter(None, (test.message, sentences.about(test))))
    names = {"not attempted": "NotAttempted", **dict.fromkeys(WAITING, "WaitsForMarking")}
    return [*kept, error_output(names.get(test.outcome, "TestFailed"), why)]
