"""What a new class list changes, and write it: into the gradebook and the file next to it, both or neither."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import msgspec
from nbgrader.api import Gradebook, Student
from nbgrader.coursedir import CourseDirectory
from sqlalchemy.orm import Session

from studium_graders.class_list.students import FIELDS, FILE, Entry, ListedStudent, read_entries
from studium_graders.course.private_files import private_file, private_folder
from studium_graders.course.sharing import sharing_of
from studium_graders.gradebook.errors import gradebook_errors, patient
from studium_graders.gradebook.guard import gradebook_file
from studium_graders.gradebook.newest_schema import schema_known
from studium_graders.results.store import write_whole

_NAMES = ("first_name", "last_name")


class FieldChange(msgspec.Struct, frozen=True):
    """One field of a student that the new list has differently."""

    student: str
    field: str
    old: str
    new: str


class Update(msgspec.Struct, frozen=True):
    """What a new list changes. ``gone`` are no longer on it, ``back`` are on it again; ``unchanged`` counts the rest.

    ``students`` has everybody as they are afterwards, those who are gone too.
    """

    added: list[ListedStudent]
    changed: list[FieldChange]
    gone: list[str]
    back: list[str]
    unchanged: int
    students: dict[str, ListedStudent]

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.added or self.changed or self.gone or self.back)


def update_of(there: Mapping[str, ListedStudent], listed: Iterable[ListedStudent], today: date) -> Update:
    """Return what changes if exactly the students ``listed`` are in the class from ``today`` on."""
    found = {one.id: _merged(there.get(one.id), one) for one in listed}
    gone = [student for student, one in there.items() if student not in found and one.gone is None]
    left = {student: msgspec.structs.replace(there[student], gone=today) for student in gone}
    changed = [change for student, one in found.items() if student in there for change in _changes(there[student], one)]
    back = [student for student in found if student in there and there[student].gone]
    touched = {change.student for change in changed} | set(back)
    return Update(
        [one for student, one in found.items() if student not in there],
        changed,
        gone,
        back,
        len(found.keys() & there.keys() - touched),
        {**there, **left, **found},
    )


def _merged(old: ListedStudent | None, new: ListedStudent) -> ListedStudent:
    """Return a student with what the list says; where it says nothing, with what is known."""
    if old is None:
        return new
    silent = [name for name in FIELDS if not getattr(new, name)]
    kept = {name: getattr(old, name) for name in silent if name not in _NAMES or not new.name}
    return msgspec.structs.replace(new, **kept)


def _changes(old: ListedStudent, new: ListedStudent) -> list[FieldChange]:
    pairs = ((name, getattr(old, name), getattr(new, name)) for name in FIELDS)
    return [FieldChange(new.id, name, before, after) for name, before, after in pairs if before != after]


def write_update(directory: CourseDirectory, update: Update) -> None:
    """Write the class as it is afterwards. Raise CourseError or OSError; then nothing was written."""
    root = Path(directory.root)
    path, sharing = private_folder((root / FILE).parent) / Path(FILE).name, sharing_of(directory)
    entries = read_entries(root) | {one.id: Entry(one.section, one.gone) for one in update.students.values()}
    with _gradebook(directory) as database, _restored_on_error(path):
        for student in {one.id for one in update.added} | {change.student for change in update.changed}:
            _set(database, update.students[student])
        database.flush()
        write_whole(path, msgspec.json.format(msgspec.json.encode(entries), indent=1))
        database.commit()
    sharing.share(path)


@contextmanager
def _gradebook(directory: CourseDirectory) -> Iterator[Session]:
    """Return the session of a course's gradebook, which is created if missing; without a commit nothing is written."""
    file, course = gradebook_file(directory.db_url, Path(directory.root)), directory.course_id or "default_course"
    if file and not file.exists():
        sharing_of(directory).share(private_file(file))
    with gradebook_errors(directory.db_url), schema_known(), Gradebook(patient(directory.db_url), course) as gradebook:
        yield gradebook.db


def _set(database: Session, one: ListedStudent) -> None:
    row = database.get(Student, one.id) or Student(id=one.id)
    row.first_name, row.last_name = one.first_name or None, one.last_name or None
    row.email, row.lms_user_id = one.email or None, one.lms_id or None
    database.add(row)


@contextmanager
def _restored_on_error(path: Path) -> Iterator[None]:
    before = path.read_bytes() if path.exists() else None
    try:
        yield
    except BaseException:
        if before is None:
            path.unlink(missing_ok=True)
        else:
            write_whole(path, before)
        raise
