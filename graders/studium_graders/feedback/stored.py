"""What Studium's engine found out about a submission, where it is still what the gradebook says."""

from pathlib import Path

import msgspec

from studium_graders.engine.results import NotebookResult, SubmissionResult
from studium_graders.feedback.marks import NotebookMarks
from studium_graders.results_store import StoredResult, file_name


def read_result(folder: Path, student: str) -> SubmissionResult | None:
    """Give the latest result of a student in the results store of an assignment, None where there is none."""
    try:
        content = (folder / f"{file_name(student)}.msgpack").read_bytes()
        result = msgspec.msgpack.decode(content, type=StoredResult).result
    except (OSError, msgspec.MsgspecError):
        return None
    return result if result.student == student else None


def result_of(result: SubmissionResult | None, book: NotebookMarks) -> NotebookResult | None:
    """Give the engine's result of a notebook, None where the marks are not those: it was graded otherwise since."""
    found = next((item for item in result.notebooks if item.name == book.name), None) if result else None
    if found is None:
        return None
    given = {test.grade_id: test.points for test in found.tests if test.outcome != "manual"}
    recorded = {name: mark.auto for name, mark in book.marks.items() if mark.auto is not None}
    same = all(abs(points - (recorded.get(name) or 0.0)) < 1e-6 for name, points in given.items())
    return found if same and given.keys() <= book.marks.keys() else None
