"""Dates of an assignment that are possible but look like slips: said when it is built, while they can be corrected."""

import itertools
from collections.abc import Iterator
from datetime import datetime

from studium_graders.course.course_file import FILE, Assignment, Course


def questions(course: Course, assignment: Assignment, now: datetime) -> list[str]:
    """Return a sentence for each date that hardly anybody means, such as a due date before the assignment opens."""
    return [
        f"{assignment.name} {found}; if this is a slip, correct it in {FILE}"
        for found in _found(course, assignment, now)
    ]


def _found(course: Course, assignment: Assignment, now: datetime) -> Iterator[str]:
    given = {"opens": assignment.opens, "due": assignment.due, "closes": assignment.closes}
    dates = {name: course.zoned(when) for name, when in given.items() if when}
    order = [name for name in given if name in dates]
    for earlier, later in itertools.pairwise(order):
        if dates[earlier] > dates[later]:
            yield f"has {earlier} = {_shown(dates[earlier])}, which is after {later} = {_shown(dates[later])}"
    if "due" in dates and dates["due"] < now:
        yield f"was due on {_shown(dates['due'])}, which is in the past"


def _shown(when: datetime) -> str:
    return f"{when:%Y-%m-%d %H:%M %Z}"
