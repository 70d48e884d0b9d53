"""The course folders of a server: what they hand out, to whom and until when. A changed course.toml is read again."""

import hashlib
import json
import threading
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

import msgspec
from studium.classroom.archive import files_of, pack
from studium.errors import CourseError, UnknownNameError
from studium_graders.class_list.students import Entry, read_entries
from studium_graders.course.accommodations import FILE as ACCOMMODATIONS
from studium_graders.course.course_file import FILE, Assignment, Course, read_course
from studium_graders.course.finding import open_course
from studium_graders.course.folder import folder as folder_of

from studium_classroom.findings import exercise_key
from studium_classroom.roles import Role


class Handout(msgspec.Struct, frozen=True):
    """An assignment as students get it: an archive of ``release/``, named by its content, and its notebooks.

    ``exercises`` are those of all notebooks, under the names that ``exercise_key`` gives them.
    """

    digest: str
    archive: bytes
    notebooks: list[str]
    exercises: tuple[str, ...]


class Deadline(msgspec.Struct, frozen=True):
    """When one student's work is due, and when nothing is accepted any more; None if there is no such date."""

    due: datetime | None
    closes: datetime | None
    extended: bool

    def is_late(self, when: datetime) -> bool:
        """Return whether work that arrives at that time is late."""
        return self.due is not None and when > self.due

    def is_closed(self, when: datetime) -> bool:
        """Return whether nothing is accepted at that time."""
        return self.closes is not None and when > self.closes


class CourseFolder:
    """One course. Its methods may be called from any thread."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self._lock = threading.Lock()
        self._read: tuple[tuple[tuple[int, int], ...], Course] | None = None
        self._handouts: dict[str, tuple[tuple[tuple[str, int, int], ...], Handout]] = {}
        self.id = self.course.id
        self._directory = open_course(self.root)

    @property
    def course(self) -> Course:
        """The current contents of course.toml and its accommodations. Raise StudiumError if they cannot be used."""
        files = (self.root / FILE, self.root / ACCOMMODATIONS)
        stamp = tuple(_times(path) if path.is_file() else (0, 0) for path in files)
        with self._lock:
            if self._read is None or self._read[0] != stamp:
                self._read = stamp, read_course(self.root)
            return self._read[1]

    @property
    def class_list(self) -> dict[str, Entry]:
        """Everybody who is or was on the class list, by id. Raise CourseError if it cannot be read."""
        return read_entries(Path(self._directory.root))

    def assignments(self, role: Role, now: datetime) -> list[Assignment]:
        """Return the assignments that somebody may see: for students those that have opened, for staff all of them."""
        course = self.course
        released = [one for one in course.assignments if self._release(one.name).is_dir()]
        return [one for one in released if role > Role.STUDENT or self._is_open(course, one, now)]

    def assignment(self, name: str, role: Role, now: datetime) -> Assignment:
        """Return an assignment that somebody may see; raise UnknownNameError for any other name."""
        seen = {one.name: one for one in self.assignments(role, now)}
        if name not in seen:
            raise UnknownNameError("assignment", name[:100], seen)
        return seen[name]

    def deadline(self, assignment: Assignment, student: str) -> Deadline:
        """Return a student's own dates: an extension or an accommodation moves both."""
        course = self.course
        due, closes = course.due(assignment), assignment.closes and course.zoned(assignment.closes)
        later = course.extensions_of(assignment.name).get(student)
        if due and later:
            due = (due.astimezone(UTC) + later).astimezone(due.tzinfo)
            closes = closes and max(closes, due)
        return Deadline(due, closes, bool(later))

    def handout(self, name: str) -> Handout:
        """Return what students get for a released assignment."""
        folder = self._release(name)
        stamp = _stamp(folder)
        with self._lock:
            kept = self._handouts.get(name)
            if kept is None or kept[0] != stamp:
                files = files_of(folder)
                archive = pack(files)
                books = sorted(
                    path.removesuffix(".ipynb") for path in files if path.endswith(".ipynb") and "/" not in path
                )
                exercises = tuple(chain.from_iterable(_exercises(name, files[f"{name}.ipynb"]) for name in books))
                kept = stamp, Handout(hashlib.sha256(archive).hexdigest(), archive, books, exercises)
                self._handouts[name] = kept
            return kept[1]

    def stamp(self, name: str) -> tuple[tuple[str, int, int], ...]:
        """Name the state of an assignment's files: another one after it was built again."""
        steps = (self._directory.source_directory, self._directory.release_directory)
        return tuple(one for step in steps for one in _stamp(folder_of(self._directory, step, name)))

    def _release(self, name: str) -> Path:
        return folder_of(self._directory, self._directory.release_directory, name)

    @staticmethod
    def _is_open(course: Course, assignment: Assignment, now: datetime) -> bool:
        return assignment.opens is not None and course.zoned(assignment.opens) <= now


def _exercises(notebook: str, content: bytes) -> list[str]:
    """Return the exercises of a notebook in order; graded cells outside exercises count for the notebook as a whole."""
    found: dict[str, None] = {}
    for cell in json.loads(content)["cells"]:
        ours, marks = cell["metadata"].get("studium", {}), cell["metadata"].get("nbgrader", {})
        if ours.get("exercise") or (marks.get("grade") and not marks.get("solution")):
            found[exercise_key(notebook, str(ours.get("exercise", "")))] = None
    return list(found)


def _stamp(folder: Path) -> tuple[tuple[str, int, int], ...]:
    return tuple(sorted((str(path), *_times(path)) for path in folder.rglob("*") if path.is_file()))


def _times(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_mtime_ns, found.st_size


class Courses:
    """The courses of a server, by id."""

    def __init__(self, roots: Iterable[Path]) -> None:
        self._by_id: dict[str, CourseFolder] = {}
        for root in roots:
            course = CourseFolder(root)
            if other := self._by_id.get(course.id):
                raise CourseError(
                    f"each course of a server needs a unique id: {other.root} and {course.root} are both "
                    f"{course.id!r}; change one course.toml"
                )
            self._by_id[course.id] = course
        if not self._by_id:
            raise CourseError("a course server needs a course folder: name one with --course")

    def __iter__(self) -> Iterator[CourseFolder]:
        return iter(self._by_id.values())

    def __contains__(self, course: str) -> bool:
        return course in self._by_id

    def __getitem__(self, course: str) -> CourseFolder:
        """Return a course; raise UnknownNameError."""
        if course not in self._by_id:
            raise UnknownNameError("course", course, self._by_id)
        return self._by_id[course]


def utc_now() -> datetime:
    """Return the server's time, the only one that counts."""
    return datetime.now(UTC)
