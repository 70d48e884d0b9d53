"""What Studium's engine found out about a submission, if it still agrees with the gradebook and the graded notebook."""

from pathlib import Path

import msgspec

from studium_graders.engine.material.results import WAITING, NotebookResult, SubmissionResult, TestResult
from studium_graders.feedback.handed_in import HandedIn, NotebookCell
from studium_graders.feedback.marks import NotebookMarks
from studium_graders.results.store import StoredResult, file_name


def read_result(folder: Path, student: str) -> SubmissionResult | None:
    """Return a student's latest result in the results store of an assignment, or None."""
    try:
        content = (folder / f"{file_name(student)}.msgpack").read_bytes()
        result = msgspec.msgpack.decode(content, type=StoredResult).result
    except (OSError, msgspec.MsgspecError):
        return None
    return result if result.student == student else None


def result_of(result: SubmissionResult | None, book: NotebookMarks, handed_in: HandedIn) -> NotebookResult | None:
    """Return the engine's result for a notebook; None if marks or messages differ, after it was graded again."""
    found = next((item for item in result.notebooks if item.name == book.name), None) if result else None
    if found is None:
        return None
    given = {test.grade_id: test.points for test in found.tests if test.outcome not in WAITING}
    recorded = {name: mark.auto for name, mark in book.marks.items() if mark.auto is not None}
    same = all(abs(points - (recorded.get(name) or 0.0)) < 1e-6 for name, points in given.items())
    if not same or not given.keys() <= book.marks.keys():
        return None
    tests = {test.grade_id: test for test in found.tests}
    graded = ((handed_in.cell(cell), tests[cell.grade_id]) for cell in handed_in.tests if cell.grade_id in tests)
    return None if any(cell is not None and _says_otherwise(cell, test) for cell, test in graded) else found


def _says_otherwise(cell: NotebookCell, test: TestResult) -> bool:
    """Return whether a graded test cell has the error of another run; a mistake's sentence may have been reworded."""
    errors = [str(output.get("evalue")) for output in cell.get("outputs") or () if output.get("output_type") == "error"]
    message = test.message.encode("utf-8", "replace").decode()
    return bool(errors) and not any(error.startswith(message) for error in errors)
