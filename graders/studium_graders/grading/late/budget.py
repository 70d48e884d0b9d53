"""The late budget of a term: days that each student may be late in total, spent in the order of the due dates.

A late day moves a due date to the same time of the next day in the course's time zone, so it has 23 or 25 hours when
clocks change. Within the grace time of the late policy no late days are spent, nor if they would not reduce the
penalty.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
from nbgrader.api import Assignment, SubmittedAssignment
from sqlalchemy import select

from studium_graders.course.course_file import FILE, Course, read_course
from studium_graders.gradebook.reading import reading_if_there

Extensions = Callable[[str, datetime | None], timedelta | None]
"""Returns how much later than others a student is due who handed in then (UTC); None if unknown."""

Times = Mapping[str, Mapping[str, datetime]]
"""When each student handed in each assignment: student to assignment to UTC."""


class Spent(msgspec.Struct, frozen=True):
    """What one assignment cost a student: due date with the granted extension, days late, days spent and days left."""

    student: str
    assignment: str
    due: datetime
    received: datetime | None
    late: int
    spent: int
    left: int


def spend(course: Course, student: str, received: Mapping[str, datetime]) -> list[Spent]:
    """Return what each assignment with a due date cost a student, in the order of everybody's due dates."""
    found, left = [], course.late.late_days
    dated = [(due, one.name) for one in course.assignments if (due := course.due(one))]
    for due, name in sorted(dated, key=lambda pair: (pair[0].astimezone(UTC), pair[1])):
        own = (due.astimezone(UTC) + course.extensions_of(name).get(student, timedelta())).astimezone(_zone(course))
        when = received.get(name)
        late = _days_late(own, _utc(when), course.late.grace_minutes) if when else 0
        helps = late <= left or course.late.policy != "zero"
        spent = min(late, left) if helps and course.late.policy != "none" else 0
        left -= spent
        found.append(Spent(student, name, own, when and _utc(when), late, spent, left))
    return found


def extensions(course: Course, assignment: str, times: Times) -> Extensions:
    """Return the extensions for an assignment: those in course.toml, and the late days that students spend.

    Without a late budget, the result has None for students who have no extension in course.toml. ``times`` are those of
    other assignments.
    """
    granted = course.extensions_of(assignment)
    if not course.late.late_days:
        return lambda student, received: granted.get(student)

    def extended(student: str, received: datetime | None) -> timedelta | None:
        known = {**times.get(student, {}), **({assignment: received} if received else {})}
        for one in spend(course, student, known):
            if one.assignment == assignment:
                later = one.due + timedelta(days=one.spent)  # the same time on the clock
                return granted.get(student, timedelta()) + (later.astimezone(UTC) - one.due.astimezone(UTC))
        return granted.get(student)

    return extended


def times_of(url: str) -> Times:
    """Return when each student handed in what, according to the gradebook at ``url``."""
    found: defaultdict[str, dict[str, datetime]] = defaultdict(dict)
    with reading_if_there(url, "submitted_assignment") as session:
        if session is not None:
            query = select(SubmittedAssignment.student_id, Assignment.name, SubmittedAssignment.timestamp).join(
                Assignment, Assignment.id == SubmittedAssignment.assignment_id
            )
            for student, name, when in session.execute(query):
                found[student] |= {name: when} if when else {}
    return found


def course_zone(root: Path) -> ZoneInfo:
    """Return the time zone of a course, or UTC if it has no course.toml."""
    return ZoneInfo(read_course(root).timezone if (root / FILE).is_file() else "UTC")


def _days_late(due: datetime, received: datetime, grace_minutes: float) -> int:
    """Return how many days the due date has to move until no points are lost."""
    over = received - timedelta(minutes=grace_minutes)
    days = max(0, (over - due.astimezone(UTC)).days - 1)
    while (due + timedelta(days=days)).astimezone(UTC) < over:
        days += 1
    return days


def _zone(course: Course) -> ZoneInfo:
    return ZoneInfo(course.timezone)


def _utc(when: datetime) -> datetime:
    return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
