"""What was handed in: the folders below submitted/, whatever nbgrader's directory structure is."""

import glob
import os
import re
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

import msgspec
from nbgrader.api import Assignment
from nbgrader.coursedir import CourseDirectory
from sqlalchemy import select
from studium.errors import CourseError, UnknownNameError

from studium_graders.course.folder import left_out
from studium_graders.gradebook.reading import reading_gradebook


class Submitted(msgspec.Struct, frozen=True):
    """The folder that one student handed in. ``link`` is a link on the way to it, or None.

    ``shut``: this user may not look into it, so nobody knows what was handed in. ``is_file``: it is not a folder.
    """

    student: str
    folder: Path
    link: Path | None = None
    shut: bool = False
    is_file: bool = False

    @property
    def problem(self) -> str:
        """Why it cannot be graded, in a sentence for the instructor, or ""."""
        try:
            self.student.encode()
        except UnicodeEncodeError:
            return f"the folder {self.student!a} needs a name in UTF-8; rename it and grade again"
        if self.shut:
            return f"{self.student} was not graded: {self.folder} cannot be read; allow that and grade again"
        if self.is_file:
            return (
                f"{self.student} was not graded: {self.folder} is a file; put the notebooks into a folder with that "
                f"name and grade again"
            )
        if self.link is None:
            return ""
        where = str(self.link.readlink())
        return f"{self.student} was not graded: {self.link} is a link to {where!a}; replace it with what was handed in"


def find_submissions(coursedir: CourseDirectory, assignment: str, students: Collection[str] = ()) -> list[Submitted]:
    """Return the submissions of an assignment by student, only for ``students`` if any are named.

    If none are named, students excluded by nbgrader's settings are skipped.

    Raises UnknownNameError for an assignment that is not in the gradebook and for a student who handed nothing in,
    CourseError if nobody did.
    """
    if assignment in ("", "..") or Path(assignment).name != assignment:
        _require_known(coursedir, assignment)
        raise CourseError(f"an assignment needs a name that can be a folder's: got {assignment!r}; correct it")
    where = coursedir.submitted_directory
    pattern = re.compile(
        coursedir.format_path(re.escape(where), "(?P<student_id>[^/]+)", re.escape(assignment), escape=True)
    )
    found = {folder.name: Submitted(folder.name, folder, shut=True) for folder in _shut_folders(coursedir, assignment)}
    for path in glob.glob(_wildcard(coursedir, where, assignment)):  # noqa: PTH207 - the pattern may be absolute
        if match := pattern.fullmatch(path):
            student, folder = match["student_id"], Path(path)
            link = _link_to(folder, match.start("student_id"))
            if link or folder.is_dir():
                found[student] = Submitted(student, folder, link)
            elif match.end("student_id") < len(path):  # a file in a student's own folder
                found[student] = Submitted(student, folder, is_file=True)
    if not found:
        _require_known(coursedir, assignment)
        raise CourseError(
            f"grading needs submissions like {coursedir.format_path(where, 'STUDENT', assignment)}, but finds none; "
            f"collect them first"
        )
    for student in students:
        if student not in found:
            raise UnknownNameError(f"student of {assignment}", student, found)
    return [found[student] for student in sorted(set(students) or found.keys() - left_out(coursedir))]


def _require_known(coursedir: CourseDirectory, assignment: str) -> None:
    """Raise UnknownNameError if there is a readable gradebook that has only other assignments."""
    with suppress(CourseError), reading_gradebook(coursedir.db_url) as session:
        known = list(session.scalars(select(Assignment.name)))
        if known and assignment not in known:
            raise UnknownNameError("assignment", assignment, known)


def _shut_folders(coursedir: CourseDirectory, assignment: str) -> list[Path]:
    """Return the folders of students, with submissions below, that this user may not look into."""
    above, star, below = _wildcard(coursedir, coursedir.submitted_directory, assignment).rpartition("/*/")
    places = map(Path, glob.glob(f"{above}/*") if star and below else [])  # noqa: PTH207 - it may be absolute
    return [place for place in places if place.is_dir() and not os.access(place, os.R_OK | os.X_OK)]


def _link_to(folder: Path, start: int) -> Path | None:
    """Return the first link among a student's folders: those whose path goes on after ``start``, where the name is."""
    own = [place for place in (folder, *folder.parents) if len(str(place)) > start]
    return next((place for place in reversed(own) if place.is_symlink()), None)


def _wildcard(coursedir: CourseDirectory, step: str, assignment: str) -> str:
    """Return the file name pattern that matches every student's folder."""
    below = coursedir.directory_structure.format(
        nbgrader_step=glob.escape(step), student_id="*", assignment_id=glob.escape(assignment)
    )
    return str(os.path.join(glob.escape(coursedir.root), below))  # noqa: PTH118 - goes to glob
