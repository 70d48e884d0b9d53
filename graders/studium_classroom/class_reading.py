"""Read the state of a class: the roster, submissions, findings, and what the gradebook has by now."""

from collections.abc import Iterator, Mapping
from contextlib import suppress

from studium.errors import StudiumError
from studium_graders.course.finding import open_course
from studium_graders.gradebook.totals import Total, read_totals

from studium_classroom.class_roster import roster_of
from studium_classroom.courses import CourseFolder
from studium_classroom.findings import Findings, Standing
from studium_classroom.members import Members
from studium_classroom.regrades import Regrades
from studium_classroom.roles import Role
from studium_classroom.schema import Submission
from studium_classroom.status import ClassState, Need, Row
from studium_classroom.submissions import FAILED, GRADED, WAITING, Submissions

_SAME = 1e-6  # points


class ClassReader:
    """Reads the state of classes. Its methods may be called from any thread."""

    def __init__(self, submissions: Submissions, findings: Findings, members: Members, regrades: Regrades) -> None:
        self._submissions, self._findings, self._members = submissions, findings, members
        self._regrades = regrades

    def read(self, course: CourseFolder, assignment: str, problem: str) -> ClassState:
        """Return the state of a released assignment; ``problem`` is why it cannot be graded now."""
        attempts = self._submissions.of_assignment(course.id, assignment)
        standings = self._findings.standings(course.id, assignment)
        totals = _totals(course, assignment) if attempts else {}
        asking = self._regrades.open(course.id, assignment) if attempts else set()
        everybody = [one for one in roster_of(course, self._members) if one.role == Role.STUDENT.label]
        sections = {one.user: one.section for one in everybody}
        here = {one.user for one in everybody if not one.gone}
        rows = [
            _row(
                student,
                sections.get(student, ""),
                attempts.get(student, []),
                standings.get(student, []),
                totals.get(student),
                asks=student in asking,
            )
            for student in sorted({*here, *attempts, *standings})
        ]
        exercises = course.handout(assignment).exercises
        return ClassState(course.id, course.course.title or course.id, assignment, exercises, tuple(rows), problem)


def _totals(course: CourseFolder, assignment: str) -> Mapping[str, Total]:
    """Return the marks in the gradebook; none if it is busy or has none yet, since the next look will find them."""
    with suppress(StudiumError):
        return read_totals(open_course(course.root).db_url, assignment)
    return {}


def _row(
    student: str, section: str, rows: list[Submission], standings: list[Standing], total: Total | None, *, asks: bool
) -> Row:
    if not rows:
        needs = list(_needs(None, standings, None, asks=False))
        return Row(student, section, "not handed in", 0, needs=needs, exercises=standings)
    last = rows[-1]
    values = (last.late, last.score, last.max_score, last.sentence)
    needs = list(_needs(last, standings, total, asks=asks))
    return Row(student, section, last.state, len(rows), *values, needs, standings)


def _needs(last: Submission | None, standings: list[Standing], total: Total | None, *, asks: bool) -> Iterator[Need]:
    if any(one.state == "stuck" for one in standings):
        yield "stuck"
    if last is None:
        return
    if last.state == FAILED:
        yield "not graded"
    if total and total.waits:
        yield "to mark"
    if asks:
        yield "regrade"
    if total and last.state == GRADED and last.score is not None and abs(total.score - last.score) > _SAME:
        yield "would change"
    if last.state == WAITING:
        yield "waiting"
    if last.late:
        yield "late"
