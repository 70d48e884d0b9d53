"""Extensions for single students: tables at the end of course.toml, which `studium grade` applies."""

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from nbgrader.api import Student
from sqlalchemy import select
from studium.errors import CourseError, UsageError, suggestion

from studium_graders.course.course_file import FILE, read_course
from studium_graders.course.finding import open_course
from studium_graders.gradebook.reading import reading_if_there
from studium_graders.results.store import write_whole


@dataclass(frozen=True)
class Extended:
    """Everybody's due date, and the student's, both with their time zones.

    ``unknown`` suggests who could be meant if the gradebook has students but not this one; otherwise it is "".
    """

    due: datetime
    until: datetime
    unknown: str = ""


def until_of(text: str) -> datetime:
    """Return a date with its time. Raise UsageError for anything else, since a day alone does not say when it ends."""
    try:
        if len(text) > len("2026-12-15"):
            return datetime.fromisoformat(text)
    except ValueError:
        pass
    raise UsageError(f"an extension needs a date and a time, such as 2026-12-15T12:00: got {text!r}")


def extend(root: Path, student: str, assignment: str, until: datetime, reason: str) -> Extended:
    """Add a table to course.toml; if that is not possible, raise CourseError or UnknownNameError and change nothing."""
    course = read_course(root)
    known = course.assignment(assignment)
    due, later = course.due(known), course.zoned(until)
    if due is None:
        raise CourseError(f"an extension needs a due date: {assignment} has none in {root / FILE}; add one")
    if later <= due:
        raise CourseError(f"an extension must end after {due:%Y-%m-%d %H:%M %Z}, when {assignment} is due: got {later}")
    path = root / FILE
    before = path.read_text("utf-8-sig")
    lines = ["", "[[extensions]]", f"student = {json.dumps(student)}", f"assignment = {json.dumps(assignment)}"]
    lines += [f"until = {until.isoformat(timespec='seconds')}"]
    lines += [f"reason = {json.dumps(reason)}"] if reason else []
    write_whole(path, (before.rstrip("\n") + "\n" + "\n".join(lines) + "\n").encode(), 0o666)
    return Extended(due, later, unknown_student(root, student))


def unknown_student(root: Path, student: str) -> str:
    """Suggest who could be meant if the gradebook has students but not this one; otherwise return ""."""
    with reading_if_there(open_course(root).db_url, "student") as session:
        known = list(session.scalars(select(Student.id).order_by(Student.id))) if session else []
    return suggestion(student, known) if known and student not in known else ""
