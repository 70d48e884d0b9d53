"""``studium collect``: copy submissions from a system's archive into a course's submitted/STUDENT/NAME."""

import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

from nbgrader.api import Student
from nbgrader.coursedir import CourseDirectory
from sqlalchemy import select
from studium.errors import CourseError, UnknownNameError

from studium_graders.class_list.students import read_class
from studium_graders.course.course_file import FILE, read_course
from studium_graders.course.finding import open_course
from studium_graders.course.folder_swap import swap_folders
from studium_graders.engine.intake.reserved_names import TIMESTAMP
from studium_graders.gradebook.reading import reading_if_there
from studium_graders.lms.archive import Entry, entries_of, newest, opened, read_entry
from studium_graders.lms.filling import FORMS
from studium_graders.lms.matching import Person, match, numbers_of
from studium_graders.lms.owners import Unclear, owners_of
from studium_graders.lms.sheet import read_sheet
from studium_graders.lms.times import read_times, stamp
from studium_graders.results.store import write_whole


@dataclass(frozen=True)
class Collected:
    """Whose submission was collected, whose was there and kept, who is unknown, and what is not a submission.

    ``unclear`` are entries that could belong to several students and go to none. ``reserved`` have names that only the
    course may write. Neither were written. ``missing`` are students of the course with nothing in the archive, ``late``
    those that Canvas marks as late and of whom no time is known. ``timed`` got a ``timestamp.txt``.
    """

    taken: list[str]
    kept: list[str]
    unclear: list[Unclear]
    reserved: list[str]
    unknown: list[str]
    others: list[str]
    missing: list[str]
    late: list[str]
    timed: list[str]


def collect(
    course: Path,
    name: str,
    archive: Path,
    system: str,
    roster: Path | None,
    times: Path | None = None,
    *,
    replace: bool,
    dry_run: bool,
) -> Collected:
    """Unpack the submissions of an assignment: those of all known students, or nothing. Raise CourseError.

    ``roster``: the same system's sheet of marks, used to look up whose number is whose; without it, Canvas's numbers
    are those of the class list, and otherwise a student's id is the number. ``times``: a table of when students handed
    in; each submission without a ``timestamp.txt`` gets one.
    """
    coursedir = open_course(course)
    notebooks = _notebooks(coursedir, name)
    people = _people(coursedir)
    numbers = _numbers(roster, system, people) if roster else _own_numbers(coursedir, system)
    known = read_times(times, system, people, _zone(coursedir)) if times else {}
    with opened(archive) as content:
        entries = entries_of(content, system, notebooks)
        found = owners_of(entries, system, numbers)
        if not entries.files and not found.unclear:
            raise CourseError(
                f"{archive} has no file named the way {system.title()} names submissions; use the archive as it was "
                f"downloaded"
            )
        mine = found.mine
        if not mine and found.unknown:
            raise _nobody(archive, found.unknown[0], roster)
        targets = {
            student: Path(coursedir.format_path(coursedir.submitted_directory, student, name)) for student in mine
        }
        kept = [] if replace else [student for student, target in targets.items() if target.exists()]
        taken = [student for student in mine if student not in kept]
        files = {
            student: stamp(known[student]) for student in [*taken, *_without_time(targets, kept)] if student in known
        }
        if taken and not dry_run:
            stamps = {targets[student]: files[student] for student in taken if student in files}
            _unpack(content, {targets[one]: mine[one] for one in taken}, stamps, notebooks, Path(coursedir.root))
        if not dry_run:
            for student in files.keys() & kept:
                write_whole(targets[student] / TIMESTAMP, files[student])
    missing = sorted({person.id for person in people} - mine.keys())
    late = sorted(one for one in taken if one not in files and any(entry.is_late for entry in newest(mine[one])))
    nobodys = (found.unclear, entries.reserved, found.unknown, found.others)
    return Collected(sorted(taken), sorted(kept), *nobodys, missing, late, sorted(files))


def _nobody(archive: Path, who: str, roster: Path | None) -> CourseError:
    what = "a --roster of this course" if roster else "--roster, the system's export of grades"
    return CourseError(f"{archive} needs files from students of the course: {who} is not one; name {what}")


def _notebooks(coursedir: CourseDirectory, name: str) -> list[str]:
    """Return the names of the notebooks that students got; raise UnknownNameError if nothing was released."""
    released = Path(coursedir.format_path(coursedir.release_directory, ".", name))
    if not released.is_dir() or Path(name).name != name:
        there = sorted(folder.name for folder in released.parent.glob("*/")) if released.parent.is_dir() else []
        raise UnknownNameError("assignment", name, there)
    return sorted(path.name for path in released.glob("*.ipynb"))


def _people(coursedir: CourseDirectory) -> list[Person]:
    with reading_if_there(coursedir.db_url, "student") as session:
        rows = session.execute(select(Student.id, Student.email)).all() if session else []
    if not rows:
        raise CourseError(
            "collecting needs the course's students, but the gradebook has none; add them with `nbgrader db`"
        )
    return [Person(row.id, row.email or "") for row in rows]


def _numbers(roster: Path, system: str, people: list[Person]) -> Mapping[str, str]:
    """Return the student for each of the system's numbers, "" for somebody outside the course.

    Canvas has them in the column ID, Moodle in the first column.
    """
    sheet = read_sheet(roster, "the file of --roster")
    matched = match(sheet, people, FORMS[system].identifying, 1)
    everybody = numbers_of(sheet, {str(row): row for row in range(1, len(sheet.rows))})
    students = {number: student for student, number in numbers_of(sheet, matched.rows).items()}
    return dict.fromkeys(everybody.values(), "") | students


def _own_numbers(coursedir: CourseDirectory, system: str) -> Mapping[str, str]:
    """Return the student for each of the system's numbers, as far as the gradebook knows them."""
    students = read_class(coursedir).values()
    numbers = {one.lms_id: one.id for one in students if one.lms_id} if system == "canvas" else {}
    return numbers or {one.id: one.id for one in students}


def _zone(coursedir: CourseDirectory) -> ZoneInfo | None:
    root = Path(coursedir.root)
    return ZoneInfo(read_course(root).timezone) if (root / FILE).is_file() else None


def _without_time(targets: Mapping[str, Path], students: list[str]) -> list[str]:
    return [student for student in students if not (targets[student] / TIMESTAMP).exists()]


def _unpack(
    content: zipfile.ZipFile,
    wanted: Mapping[Path, list[Entry]],
    stamps: Mapping[Path, bytes],
    notebooks: list[str],
    root: Path,
) -> None:
    with tempfile.TemporaryDirectory(dir=root, prefix=".collecting-") as made:
        scratch = Path(made)
        pairs = []
        for number, (target, entries) in enumerate(wanted.items()):
            new = scratch / f"new-{number}"
            new.mkdir()
            for entry, file in _named(list(newest(entries)), notebooks):
                (new / file).write_bytes(read_entry(content, entry))
            if target in stamps:
                (new / TIMESTAMP).write_bytes(stamps[target])
            pairs.append((new, target))
        swap_folders(pairs, scratch)


def _named(entries: list[Entry], notebooks: list[str]) -> list[tuple[Entry, str]]:
    """Return each entry with its file name: a student's only notebook gets the name of the assignment's only one."""
    sent = [entry for entry in entries if entry.file.casefold().endswith(".ipynb")]
    only = len(sent) == len(notebooks) == 1
    return [(entry, notebooks[0] if only and entry is sent[0] else entry.file) for entry in entries]
