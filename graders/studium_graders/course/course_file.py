"""``course.toml``: what a course hands out, when it is due, and what a late answer costs.

Topics and exercises are only names here; whether the catalogue has them is checked when an assignment is built.
"""

import re
import tomllib
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, available_timezones

import msgspec
from msgspec import Meta
from studium.errors import CourseError, UnknownNameError, continued, suggestion
from studium.notebooks.elsewhere import Repository

from studium_graders.course.accommodations import FILE as ACCOMMODATIONS
from studium_graders.course.accommodations import read_accommodations
from studium_graders.course.amounts import Amount, passing
from studium_graders.course.limits import Limits, LimitsChange
from studium_graders.course.messages import convert_message

FILE = "course.toml"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")

Percent = Annotated[float, Meta(ge=0, le=100)]


class Late(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a late submission costs: ``penalty_percent`` of its points for each day or hour that has begun.

    Nothing within ``grace_minutes``, after which the clock starts, and never more than ``cap_percent``. ``late_days``
    is how many days in total each student may be late during the term at no cost.
    """

    policy: Literal["none", "zero", "per-day", "per-hour"] = "none"
    penalty_percent: Percent = 0
    grace_minutes: Annotated[float, Meta(ge=0)] = 0
    cap_percent: Percent = 100
    late_days: Annotated[int, Meta(ge=0, le=366)] = 0


class Assignment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One assignment: whole topics by slug, and single exercises as "topic.exercise".

    ``points`` changes what an exercise is worth; ``experiments`` keeps the cells that train or measure. ``limits``
    changes single limits of the course; with ``gpu``, submissions are graded on a machine with a GPU. The course server
    hands it out from ``opens`` on, and not at all without that date; after ``closes`` it accepts nothing more.
    """

    name: str
    due: datetime | None = None
    opens: datetime | None = None
    closes: datetime | None = None
    topics: tuple[str, ...] = ()
    exercises: tuple[str, ...] = ()
    points: dict[str, Annotated[float, Meta(gt=0, le=1e6)]] = {}
    experiments: bool = False
    limits: LimitsChange = LimitsChange()
    gpu: bool = False


class Extension(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A later due date for one student, and the reason, for people who read the file."""

    student: str
    assignment: str
    until: datetime
    reason: str = ""


class Classroom(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What students see of their work on the course server, and when.

    ``checks_per_hour`` limits the checks of one student on one assignment; 0 turns checks off. ``hidden_tests`` decides
    whether a check runs hidden tests and reports how many of them pass. ``submissions_per_hour`` limits one student's
    submissions of one assignment.
    """

    marks: Literal["at once", "when due", "when released"] = "at once"
    checks_per_hour: Annotated[int, Meta(ge=0, le=3600)] = 30
    name_mistakes: bool = True
    hidden_tests: Literal["count", "nothing"] = "count"
    submissions_per_hour: Annotated[int, Meta(ge=1, le=3600)] = 30


class Grading(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a class is graded. ``unverified``: whether points of unverified tests count, or wait for a person."""

    unverified: Literal["count", "review"] = "count"


class Course(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A course: its id for nbgrader, its title, the time zone of its due dates, its assignments and limits.

    If a student has several ``extensions`` for an assignment, the last one counts. ``accommodations`` are in a file of
    their own. ``keep_until`` is the last day on which the course may be kept.
    """

    id: str
    title: str = ""
    timezone: str = "UTC"
    keep_until: date | None = None
    assignments: tuple[Assignment, ...] = ()
    late: Late = Late()
    limits: Limits = Limits()
    extensions: tuple[Extension, ...] = ()
    accommodations: dict[str, Amount] = {}
    classroom: Classroom = Classroom()
    grading: Grading = Grading()
    repository: Repository | None = None
    hidden_sentences: bool = True
    """Whether what is said of a wrong answer without a name may come from hidden tests, without their numbers."""

    def assignment(self, name: str) -> Assignment:
        """Return the assignment called ``name``; raise UnknownNameError with the nearest name."""
        for assignment in self.assignments:
            if assignment.name == name:
                return assignment
        raise UnknownNameError("assignment", name, (assignment.name for assignment in self.assignments))

    def limits_of(self, name: str) -> Limits:
        """Return what a submission of an assignment may use; if the assignment is not in the file, what the course
        allows.
        """
        change = next((assignment.limits for assignment in self.assignments if assignment.name == name), LimitsChange())
        return change.applied_to(self.limits)

    def needs_gpu(self, name: str) -> bool:
        """Return whether an assignment needs a GPU."""
        return any(assignment.gpu for assignment in self.assignments if assignment.name == name)

    def due(self, assignment: Assignment) -> datetime | None:
        """Return the due date with its time zone, which is the course's unless it names one."""
        return assignment.due and self.zoned(assignment.due)

    def zoned(self, when: datetime) -> datetime:
        """Return a time in the file with its time zone, which is the course's unless it names one."""
        return when if when.tzinfo else when.replace(tzinfo=ZoneInfo(self.timezone))

    def extensions_of(self, name: str) -> dict[str, timedelta]:
        """Return how much later than others students are due, in time that passes.

        That is by an extension for the assignment or an accommodation for the term, whichever gives more time.
        """
        assignment = next((one for one in self.assignments if one.name == name), None)
        due = self.due(assignment) if assignment else None
        if assignment is None or due is None:
            return {}
        given = [extension for extension in self.extensions if extension.assignment == name]
        found = {one.student: max(timedelta(), passing(due, self.zoned(one.until))) for one in given}
        opens = assignment.opens and self.zoned(assignment.opens)
        for student, amount in self.accommodations.items():
            later = amount.later(due, opens)
            if later is not None:
                found[student] = max(later, found.get(student, timedelta()))
        return found

    def due_for_nbgrader(self, assignment: Assignment) -> datetime | None:
        """Return the due date as nbgrader stores it: UTC without a time zone."""
        due = self.due(assignment)
        return due and due.astimezone(UTC).replace(tzinfo=None)


def read_course(root: Path) -> Course:
    """Read the course.toml of a course folder. Raise CourseError, with one sentence, for a file that cannot be used."""
    path, text = root / FILE, ""
    try:
        text = path.read_text("utf-8-sig")  # some editors write a byte order mark before the text
        course = msgspec.convert(_without_accommodations(tomllib.loads(text), path), Course)
    except FileNotFoundError:
        raise CourseError(
            f"a course needs the file {path}, which does not exist; run studium new course, or name the folder with "
            f"--course"
        ) from None
    except UnicodeDecodeError as error:
        raise CourseError(f"{path} must be UTF-8 text: byte {error.start} is not; save it as UTF-8") from error
    except msgspec.ValidationError as error:
        tables: dict[str, type[msgspec.Struct]] = {"late": Late, "assignments": Assignment, "limits": Limits}
        tables |= {"extensions": Extension, "classroom": Classroom, "grading": Grading}
        tables |= {"repository": Repository}
        raise CourseError(f"{path} {convert_message(str(error), Course, tables)}") from error
    except (ValueError, RecursionError) as error:  # a number of 5000 digits, 1000 brackets
        why = continued(str(error))
        raise CourseError(f"{path} must be valid TOML: {why}; correct that line{_line(text, why)}") from error
    course = msgspec.structs.replace(course, accommodations=read_accommodations(root))
    if found := _problem(course):
        raise CourseError(f"{path} {found}")
    return course


def _without_accommodations(read: dict[str, Any], path: Path) -> dict[str, Any]:
    if "accommodations" in read:
        raise CourseError(
            f"{path} must not have accommodations, which belong in {ACCOMMODATIONS}: move them there with studium "
            f"accommodations set"
        )
    return read


def says_hidden(root: Path) -> bool:
    """Return whether the course in a folder lets sentences come from hidden tests; so does one without course.toml."""
    return not (root / FILE).is_file() or read_course(root).hidden_sentences


def _line(text: str, why: str) -> str:
    """Return the line of the file that an error refers to, as ``: due = 8.12.2026``, or ""."""
    found = re.search(r"at line (\d+)", why)
    lines = text.split("\n")
    return f": {lines[int(found[1]) - 1].strip()[:80]}" if found else ""


def is_usable_name(name: str) -> bool:
    """Return whether nbgrader accepts ``name`` as the id of a course or an assignment, on every file system."""
    return bool(_NAME.fullmatch(name)) and not name.endswith(".")


def _problem(course: Course) -> str:
    """Return what is wrong with a course whose types are right, or ""."""
    names = Counter(assignment.name for assignment in course.assignments)
    for name in (course.id, *names):
        if not is_usable_name(name):
            return f"needs names of letters, digits, hyphens, dots and underscores: got {name!r}; rename it"
    if twice := next((name for name, times in names.items() if times > 1), None):
        return f"needs a unique name for each assignment: {twice!r} appears twice; rename one"
    if course.timezone not in available_timezones():
        return f"names the unknown timezone {course.timezone!r}; {suggestion(course.timezone, _zones())}"
    if course.late.policy.startswith("per") and not course.late.penalty_percent:
        return f"needs penalty_percent in late for the policy {course.late.policy!r}; add one, such as 10"
    if course.repository and (found := course.repository.problem()):
        return found
    for assignment in course.assignments:
        try:
            course.due_for_nbgrader(assignment)
            course.extensions_of(assignment.name)
        except OverflowError:
            return f"needs a due date in the years 1 to 9999 for {assignment.name!r}: got {assignment.due}; change it"
    for extension in course.extensions:
        named = next((one for one in course.assignments if one.name == extension.assignment), None)
        if named is None or named.due is None:
            what = "an assignment" if named is None else "a due date of the assignment"
            return f"needs {what} for the extension of {extension.student!r}: got {extension.assignment!r}; correct it"
    return next(filter(None, map(_assignment_problem, course.assignments)), "")


def _zones() -> list[str]:
    zones = (zone for zone in available_timezones() if "/" in zone and not zone.startswith("Etc/"))
    return ["UTC", *sorted(zones)]


def _assignment_problem(assignment: Assignment) -> str:
    named = Counter([*assignment.topics, *assignment.exercises])
    name = assignment.name
    if twice := next((item for item, times in named.items() if times > 1), None):
        return f"names {twice!r} twice in the assignment {name!r}; remove one"
    for exercise in assignment.exercises:
        topic, dot, function = exercise.partition(".")
        if not (topic and dot and function):
            return f'needs "topic.exercise" for an exercise of {name!r}: got {exercise!r}; write it like "lora.merge"'
        if topic in assignment.topics:
            return f"has {exercise!r} in {name!r} as well as its whole topic {topic!r}; remove one of them"
    return ""
