"""What marks and feedback would not mention: submissions that are not graded, and answers that a person marks."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from datetime import datetime

from nbgrader.api import Assignment, Grade, SubmittedAssignment, SubmittedNotebook
from nbgrader.coursedir import CourseDirectory
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from studium.errors import StudiumError

from studium_graders.assignments.submissions import find_submissions
from studium_graders.gradebook.reading import reading_gradebook
from studium_graders.results.release_files import read_time

_SHOWN = 5  # names in a sentence


def unfinished(directory: CourseDirectory, assignments: Collection[str] = ()) -> Iterator[str]:
    """Return sentences about submissions that are not graded, or were handed in again since they were graded.

    Covers only ``assignments`` if any are named, otherwise all in the gradebook. Students excluded by nbgrader's
    settings are skipped. Raise CourseError if the gradebook cannot be read.
    """
    with reading_gradebook(directory.db_url) as session:
        graded = {name: _graded(session, name) for name in session.scalars(select(Assignment.name))}
    for name in sorted(set(assignments) & graded.keys() if assignments else graded):
        yield from unfinished_of(directory, name, graded[name])


def unfinished_of(
    directory: CourseDirectory, assignment: str, graded: Mapping[str, datetime | None], wanted: Collection[str] = ()
) -> Iterator[str]:
    """Return the sentences for one assignment; ``graded`` has the time (UTC) of each submission in the gradebook.

    ``wanted`` names the students to cover, none for all.
    """
    there: dict[str, datetime | None] = {}
    with suppress(StudiumError):  # nothing was handed in
        found = find_submissions(directory, assignment)
        there = {one.student: read_time(one.folder) for one in found if not wanted or one.student in wanted}
    missing = [student for student in there if student not in graded]
    newer = [student for student, when in there.items() if _is_newer(when, graded.get(student, when))]
    for students, what in ((missing, "not graded"), (newer, "newer than the marks")):
        if students:
            yield f"{_counted(students, assignment)} {what} ({_some(students)}): run studium grade {assignment}"


def waiting(directory: CourseDirectory, assignments: Collection[str] = ()) -> Iterator[str]:
    """Return sentences about answers that a person has to mark: of ``assignments``, or of all in the gradebook."""
    with reading_gradebook(directory.db_url) as session:
        known = set(session.scalars(select(Assignment.name)))
    for name in sorted(known & set(assignments) if assignments else known):
        if students := waiting_marks(directory.db_url, name):
            number = sum(students.values())
            verb = "answers wait" if number != 1 else "answer waits"
            yield f"{number} {verb} for you to mark them in {name} and count 0 until then: {_some(students)}"


def waiting_marks(url: str, assignment: str) -> dict[str, int]:
    """Return how many answers of an assignment a person has to mark, by student."""
    query = (
        select(SubmittedAssignment.student_id, func.count(Grade.id))
        .join(SubmittedNotebook, SubmittedNotebook.assignment_id == SubmittedAssignment.id)
        .join(Grade, Grade.notebook_id == SubmittedNotebook.id)
        .join(Assignment, Assignment.id == SubmittedAssignment.assignment_id)
        .where(Assignment.name == assignment, Grade.needs_manual_grade)
        .group_by(SubmittedAssignment.student_id)
        .order_by(SubmittedAssignment.student_id)
    )
    with reading_gradebook(url) as session:
        return {student: int(number) for student, number in session.execute(query)}


def _graded(session: Session, assignment: str) -> dict[str, datetime | None]:
    query = select(SubmittedAssignment.student_id, SubmittedAssignment.timestamp).join(
        Assignment, Assignment.id == SubmittedAssignment.assignment_id
    )
    rows = session.execute(query.where(Assignment.name == assignment))
    return {row.student_id: row.timestamp for row in rows}


def _is_newer(handed_in: datetime | None, graded: datetime | None) -> bool:
    return handed_in is not None and (graded is None or handed_in > graded)


def _counted(students: Collection[str], assignment: str) -> str:
    many = len(students) != 1
    return f"{len(students)} submission{'s' if many else ''} of {assignment} {'are' if many else 'is'}"


def _some(students: Collection[str]) -> str:
    names = sorted(students)
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
