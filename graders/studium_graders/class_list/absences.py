"""Find out who of the class handed in nothing: marks, reports and feedback count them."""

from collections.abc import Collection
from contextlib import suppress

from nbgrader.api import Assignment, SubmittedAssignment
from nbgrader.coursedir import CourseDirectory
from sqlalchemy import select
from studium.errors import StudiumError

from studium_graders.assignments.submissions import find_submissions
from studium_graders.class_list.absent import Absent
from studium_graders.class_list.students import read_class
from studium_graders.course.folder import left_out
from studium_graders.gradebook.reading import reading_gradebook, reading_if_there


def absent_of(directory: CourseDirectory, assignment: str) -> Absent:
    """Return who of the class handed in nothing for an assignment, by folders and gradebook. Raise CourseError."""
    people = {student for student, one in read_class(directory).items() if one.gone is None} - left_out(directory)
    there = _recorded(directory.db_url, assignment)
    with suppress(StudiumError):  # no folder at all
        there |= {one.student for one in find_submissions(directory, assignment)}
    absent = tuple(sorted(people - there))
    return Absent(len(absent), len(people), absent)


def absences(directory: CourseDirectory, assignments: Collection[str]) -> dict[str, Absent]:
    """Return the same for ``assignments``, or for all in the gradebook. Raise CourseError if it cannot be read."""
    with reading_gradebook(directory.db_url) as session:
        known = set(session.scalars(select(Assignment.name)))
    return {name: absent_of(directory, name) for name in sorted(known & set(assignments) if assignments else known)}


def _recorded(url: str, assignment: str) -> set[str]:
    query = select(SubmittedAssignment.student_id).join(Assignment, Assignment.id == SubmittedAssignment.assignment_id)
    with reading_if_there(url, "submitted_assignment") as session:
        return set(session.scalars(query.where(Assignment.name == assignment))) if session else set()
