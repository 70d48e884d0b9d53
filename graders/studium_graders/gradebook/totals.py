"""What the gradebook has for each submission of an assignment, in one query."""

import msgspec
from nbgrader.api import Assignment, Grade, Student, SubmittedAssignment, SubmittedNotebook
from sqlalchemy import exists, select

from studium_graders.gradebook.reading import reading_gradebook


class Total(msgspec.Struct, frozen=True):
    """The points of a submission after the penalty, never below 0, and whether it waits for a mark by hand."""

    score: float
    waits: bool


def read_totals(url: str, assignment: str) -> dict[str, Total]:
    """Return the totals by student, none for an unknown assignment. Raise CourseError if they cannot be read."""
    waits = exists().where(
        SubmittedNotebook.assignment_id == SubmittedAssignment.id,
        Grade.notebook_id == SubmittedNotebook.id,
        Grade.needs_manual_grade,
        Grade.manual_score.is_(None),
    )
    query = (
        select(Student.id, SubmittedAssignment.score, SubmittedAssignment.late_submission_penalty)
        .add_columns(waits)
        .join(SubmittedAssignment.student)
        .join(SubmittedAssignment.assignment)
        .where(Assignment.name == assignment)
    )
    with reading_gradebook(url) as session:
        return {
            student: Total(max(0.0, score - penalty), bool(unmarked))
            for student, score, penalty, unmarked in session.execute(query)
        }
