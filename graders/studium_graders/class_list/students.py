"""Read the class list: nbgrader's gradebook has ids, names and addresses, a file next to it has the rest."""

import stat
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import msgspec
from nbgrader.api import Student
from nbgrader.coursedir import CourseDirectory
from sqlalchemy import select
from studium.errors import CourseError

from studium_graders.gradebook.reading import reading_if_there
from studium_graders.results.store import write_whole

FILE = ".studium/class-list.json"
FIELDS = ("first_name", "last_name", "email", "lms_id", "section")  # of a student, which a file can have


class Entry(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What the gradebook has no room for: a student's section, and since when the student is gone, if so."""

    section: str = ""
    gone: date | None = None


class ListedStudent(msgspec.Struct, frozen=True):
    """A student of the class list. ``lms_id`` is the LMS's own number; ``gone`` is None for everybody still there."""

    id: str
    first_name: str = ""
    last_name: str = ""
    email: str = ""
    lms_id: str = ""
    section: str = ""
    gone: date | None = None

    @property
    def name(self) -> str:
        """The whole name, or ""."""
        return f"{self.first_name} {self.last_name}".strip()


def read_entries(root: Path) -> dict[str, Entry]:
    """Return the entries of everybody who was ever on the list of the course in ``root``, by id. Raise CourseError."""
    path = root / FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Entry])
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.MsgspecError) as error:
        raise CourseError(
            f"the class list must be as studium roster wrote it: {path}: {error}; delete it and import the list again"
        ) from error


def forget(root: Path, student: str) -> None:
    """Remove a student's entry, if there is one. Raise CourseError or OSError."""
    entries = read_entries(root)
    if entries.pop(student, None) is not None:
        path = root / FILE
        mode = stat.S_IMODE(path.stat().st_mode)  # a course may be shared with its folder's group
        write_whole(path, msgspec.json.format(msgspec.json.encode(entries), indent=1))
        path.chmod(mode)


def read_class(directory: CourseDirectory) -> dict[str, ListedStudent]:
    """Return all students of the gradebook by id, those who are gone too. Raise CourseError."""
    entries = read_entries(Path(directory.root))
    columns = (Student.id, Student.first_name, Student.last_name, Student.email, Student.lms_user_id)
    with reading_if_there(directory.db_url, "student") as session:
        rows = session.execute(select(*columns).order_by(Student.id)).all() if session else []
    return {row.id: _listed(tuple(row), entries.get(row.id, Entry())) for row in rows}


def _listed(row: Sequence[str | None], entry: Entry) -> ListedStudent:
    student, first_name, last_name, email, lms_id = (value or "" for value in row)
    return ListedStudent(student, first_name, last_name, email, lms_id, entry.section, entry.gone)
