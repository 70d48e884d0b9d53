"""The marks as a CSV file: the columns, rows and values of nbgrader's own exporter, safe to open in a spreadsheet."""

import csv
import io
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

from nbgrader.api import Assignment, Grade, Student, SubmittedAssignment, SubmittedNotebook
from sqlalchemy import func, select
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session
from studium.errors import CourseError, UnknownNameError

from studium_graders.gradebook.reading import reading_gradebook
from studium_graders.results.store import write_whole
from studium_graders.results.unverified import Reliance, kept_reliance

COLUMNS = (
    "assignment",
    "duedate",
    "timestamp",
    "student_id",
    "last_name",
    "first_name",
    "email",
    "raw_score",
    "late_submission_penalty",
    "score",
    "max_score",
)
OWN_COLUMNS = ("unverified_points", "review_points")  # behind those of nbgrader
_STARTS_A_FORMULA = ("=", "+", "-", "@", "\t", "\n", "＝", "＋", "－", "＠")


def write_csv(gradebook: str, path: Path, assignments: Collection[str] = (), course: Path | None = None) -> Path:
    """Write one row for each assignment and student, only for ``assignments`` if any are named.

    If the ``course`` folder is known, two more columns say how many points rest on unverified results, and how many
    were left to a person because a test could not be decided.

    Raise UnknownNameError for an assignment that is not in the gradebook, CourseError if it has no students.
    """
    with reading_gradebook(gradebook) as session:
        rows = list(rows_of(session, assignments))
    if not rows:
        name = make_url(gradebook).database
        raise CourseError(f"no marks exist yet: {name} has no students; {path} was not written: grade first")
    content = _table(rows, course).encode()
    try:
        if path.exists() and not path.is_file():  # a pipe or a device takes the text as it comes
            path.write_bytes(content)
        else:
            write_whole(path, content)
    except OSError as error:
        error.filename = str(path)  # what was requested
        raise
    return path


def _table(rows: Iterable[tuple[Any, ...]], course: Path | None) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow((*COLUMNS, *OWN_COLUMNS) if course else COLUMNS)
    found = cache(partial(kept_reliance, course)) if course else None
    for row in rows:
        own = _own(dict(zip(COLUMNS, row, strict=True)), found) if found else ()
        writer.writerow([_cell(value) for value in (*row, *own)])
    return text.getvalue()


def _own(row: dict[str, Any], found: Callable[[str], dict[str, Reliance]]) -> tuple[float, float]:
    """Return the values of OWN_COLUMNS, as the last grading left them."""
    one = found(row["assignment"]).get(row["student_id"], Reliance(0.0, 0.0, 0.0))
    return one.unverified_points, one.review_points


def _cell(value: Any) -> str:
    """Return the text of a cell. An apostrophe keeps a spreadsheet from running text that looks like a formula."""
    if isinstance(value, str):
        value = value.replace("\r\n", "\n").replace("\r", "\n")  # the csv module would not quote a single \r
        return f"'{value}" if value.startswith(_STARTS_A_FORMULA) else value
    return "" if value is None else str(value)


def rows_of(session: Session, wanted: Collection[str]) -> Iterator[tuple[Any, ...]]:
    """Return the values of COLUMNS for each assignment, only for ``wanted`` if any are named, and each student.

    The timestamp is "" if nothing was handed in. Raise UnknownNameError for an unknown assignment.
    """
    found = session.execute(
        select(Assignment.id, Assignment.name, Assignment.duedate, Assignment.max_score).order_by(
            Assignment.duedate, Assignment.name
        )
    ).all()
    for name in wanted:
        if name not in {assignment.name for assignment in found}:
            raise UnknownNameError("assignment", name, (assignment.name for assignment in found))
    students = session.execute(
        select(Student.id, Student.last_name, Student.first_name, Student.email).order_by(
            Student.last_name, Student.first_name, Student.id
        )
    ).all()
    for assignment in found:
        if not wanted or assignment.name in wanted:
            submitted = _submitted(session, assignment.id)
            for student in students:
                when, raw, penalty = submitted.get(student.id, ("", 0.0, 0.0))
                who = (student.id, student.last_name, student.first_name, student.email)
                marks = (raw, penalty, max(0.0, raw - penalty), assignment.max_score)
                yield (assignment.name, assignment.duedate, when, *who, *marks)


def _submitted(session: Session, assignment: str) -> dict[str, tuple[Any, float, float]]:
    """Return each student's timestamp, score and penalty, in three queries whatever the size of the class."""
    of_this = SubmittedAssignment.assignment_id == assignment
    times = session.execute(
        select(SubmittedAssignment.id, SubmittedAssignment.student_id, SubmittedAssignment.timestamp).where(of_this)
    ).all()
    books = select(SubmittedAssignment.id).join(SubmittedAssignment.notebooks).where(of_this)
    books = books.group_by(SubmittedAssignment.id)
    scored = session.execute(books.add_columns(func.sum(Grade.score)).join(SubmittedNotebook.grades))
    late = session.execute(books.add_columns(func.sum(SubmittedNotebook.late_submission_penalty)))
    scores, penalties = ({key: value or 0.0 for key, value in found} for found in (scored, late))
    return {student: (when, scores.get(key, 0.0), penalties.get(key, 0.0)) for key, student, when in times}
