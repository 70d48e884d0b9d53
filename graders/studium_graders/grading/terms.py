"""What course.toml sets for the grading of one assignment."""

from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from studium_graders.course.course_file import FILE, read_course
from studium_graders.course.limits import Limits
from studium_graders.grading.late.accommodating import without_effect
from studium_graders.grading.late.budget import Extensions, extensions, times_of


class Terms(NamedTuple):
    """An assignment's limits, whether it needs a GPU, students' extensions, and its due date (UTC, naive) or None.

    ``review``: points of unverified tests wait for a person. ``notes`` are sentences for the instructor.
    """

    limits: Limits
    gpu: bool
    extensions: Extensions
    due: datetime | None
    review: bool = False
    notes: tuple[str, ...] = ()


def terms_of(root: Path, assignment: str, url: str) -> Terms:
    """Return the terms of an assignment; ``url`` is the gradebook, which knows when students handed in other ones."""
    if not (root / FILE).is_file():
        return Terms(Limits(), False, lambda student, received: None, None)
    course = read_course(root)
    times = times_of(url) if course.late.late_days else {}
    due = next((course.due_for_nbgrader(one) for one in course.assignments if one.name == assignment), None)
    notes = tuple(filter(None, (without_effect(course, assignment),)))
    limits, gpu, review = course.limits_of(assignment), course.needs_gpu(assignment), course.grading.unverified
    return Terms(limits, gpu, extensions(course, assignment, times), due, review == "review", notes)
