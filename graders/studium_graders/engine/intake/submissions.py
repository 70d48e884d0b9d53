"""Taking in a submission: from a folder that anybody may have filled to the canonical cells that are graded.

Points, ids, tests, locked cells, order and outputs come from the template alone. So tampering gains nothing, and honest
damage costs nothing: lost or doubled ids, moved or split cells, changed types, extra cells, renamed files.
"""

from pathlib import Path, PurePosixPath

from studium_graders.engine.intake.canonical import canonical_notebook, untouched_notebook
from studium_graders.engine.intake.chosen_files import Choice, choose_notebooks
from studium_graders.engine.intake.submitted_files import SubmittedFiles, leave_out, read_folder
from studium_graders.engine.intake.submitted_notebook import UnreadableError, read_cells
from studium_graders.engine.intake.timestamps import NO_TIME, read_timestamp
from studium_graders.engine.material.assignment import (
    CanonicalNotebook,
    CanonicalSubmission,
    Material,
    NotebookMaterial,
)


def read_submission(material: Material, folder: Path, student: str) -> CanonicalSubmission:
    """Read what ``student`` handed in. A damaged file gives a notebook with a ``problem``, and never an exception.

    Raise OSError for what cannot be read here, which is not the student's doing.
    """
    found = read_folder(folder, material.limits.disk_mb) if folder.is_dir() else SubmittedFiles()
    chosen = choose_notebooks(material, found.notebooks)
    notebooks = tuple(_notebook(book, chosen[book.name], found) for book in material.notebooks)
    files = files_beside(material, found)
    return CanonicalSubmission(student, notebooks, files, _timestamp(found), tuple(found.notes))


def files_beside(material: Material, found: SubmittedFiles) -> dict[str, bytes]:
    """Return the student's files but for those that would replace one of the assignment, or be in the way of one."""
    kept = set(material.files) - material.own_files
    taken = {*material.files, *(f"{book.name}.ipynb" for book in material.notebooks)}
    folders = {above for path in taken for above in _above(path)}
    files = {}
    for path, content in found.files.items():
        if path in folders:
            leave_out(found.notes, path, "the assignment has a folder of that name")
        elif blocked := taken.intersection(_above(path)):
            leave_out(found.notes, path, f"{min(blocked)} of the assignment is a file")
        elif path not in kept:
            files[path] = content
    return files


def _above(path: str) -> list[str]:
    return [str(folder) for folder in PurePosixPath(path).parents][:-1]


def _notebook(book: NotebookMaterial, choice: Choice, found: SubmittedFiles) -> CanonicalNotebook:
    if not choice.path:
        return untouched_notebook(book, choice.note, missing=True)
    try:
        cells = read_cells(found.notebooks[choice.path])
    except UnreadableError as error:
        return untouched_notebook(book, str(error))
    return canonical_notebook(book, cells, [choice.note] if choice.note else [])


def _timestamp(found: SubmittedFiles) -> str:
    """Return the time of timestamp.txt as it is written there, or "" where nbgrader cannot read it."""
    if found.timestamp and read_timestamp(found.timestamp) is None:
        found.notes.append(NO_TIME)
        return ""
    return found.timestamp
