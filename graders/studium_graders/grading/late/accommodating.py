"""Change who gets more time in a term, and tell what does not follow from it."""

from collections.abc import Mapping
from pathlib import Path

from studium.errors import UnknownNameError

from studium_graders.course.accommodations import FILE, as_csv, read_accommodations
from studium_graders.course.amounts import Amount
from studium_graders.course.course_file import FILE as COURSE
from studium_graders.course.course_file import Course, read_course
from studium_graders.course.finding import open_course
from studium_graders.course.sharing import sharing_of
from studium_graders.results.store import write_whole


def add(root: Path, accommodations: Mapping[str, Amount]) -> Course:
    """Add students, or change what they have; return the course as it is now."""
    return _written(root, {**read_course(root).accommodations, **accommodations})


def remove(root: Path, student: str) -> Course:
    """Remove a student; return the course as it is now. Raise UnknownNameError for somebody who has no more time."""
    known = dict(read_course(root).accommodations)
    if student not in known:
        raise UnknownNameError("student with an accommodation", student, known)
    del known[student]
    return _written(root, known)


def without_effect(course: Course, assignment: str = "") -> str:
    """Return a sentence if percentages move no due date because ``opens`` is missing, or "".

    If ``assignment`` is given, only that one counts.
    """
    dated = [one for one in course.assignments if one.due and not one.opens and assignment in ("", one.name)]
    students = sorted(name for name, amount in course.accommodations.items() if amount.unit == "%")
    if not dated or not students:
        return ""
    names = ", ".join(one.name for one in dated)
    return (
        f"more time in per cent needs the date from which it counts: {names} has a due date but no opens in {COURSE}, "
        f"so it stays due when it is for {_some(students)}; add opens, or give them days or hours"
    )


def _some(students: list[str]) -> str:
    more = f" and {len(students) - 5} more" if len(students) > 5 else ""
    return ", ".join(students[:5]) + more


def _written(root: Path, accommodations: Mapping[str, Amount]) -> Course:
    directory = open_course(root)
    write_whole(root / FILE, as_csv(accommodations).encode())
    sharing_of(directory).share(root / FILE)
    assert read_accommodations(root) == accommodations
    return read_course(root)
