"""What the gradebook has for each submission of an assignment, in one query."""

import msgspec
from nbgrader.api import Assignment, Student, SubmittedAssignment
from sqlalchemy import select

from studium_graders.gradebook_reading import reading_gradebook


class Total(msgspec.Struct, frozen=True):
    """The points of a submission after the penalty, never below 0, and whether it waits for a mark by hand."""

    score: float
    waits: bool


def read_totals(url: str, assignment: str) -> dict[str, Total]:
    """Return the totals by student, none for an unknown assignment. Raise CourseError where they cannot be read."""
    query = (
        select(Student.id, SubmittedAssignment.score, SubmittedAssignment.late_submission_penalty)
        .add_columns(SubmittedAssignment.needs_manual_grade)
        .join(SubmittedAssignment.student)
        .join(SubmittedAssignment.assignment)
        .where(Assignment.name == assignment)
    )
    with reading_gradebook(url) as session:
        return {
            student: Total(max(0.0, score - penalty), bool(waits))
            for student, score, penalty, waits in session.execute(query)
        }
