"""The course server without HTTP: who may see what of which assignment, and what happens to what comes in."""

import asyncio
import contextlib
import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

import msgspec
from studium.classroom.archive import ArchiveError
from studium.classroom.messages import (
    AssignmentView,
    Attempt,
    CheckAnswer,
    CheckRequest,
    Receipt,
    Regrade,
    RegradeRequest,
    State,
)
from studium_graders.course.course_file import Assignment
from studium_graders.course.private_files import private_file, private_folder
from studium_graders.engine.intake.submitted_notebook import UnreadableError, read_cells

from studium_classroom.audit import Audit
from studium_classroom.blobs import Blobs
from studium_classroom.boards import Boards, MarkingPages
from studium_classroom.checks import Checks
from studium_classroom.class_reading import ClassReader
from studium_classroom.class_roster import roster_of
from studium_classroom.courses import CourseFolder, Courses, Deadline, utc_now
from studium_classroom.database import Database
from studium_classroom.findings import Findings
from studium_classroom.grading_line import GradingLine, Terms
from studium_classroom.handed_in import handed_in_files
from studium_classroom.jobs.forms import CheckJob
from studium_classroom.jobs.worker import Worker
from studium_classroom.live import Live
from studium_classroom.marking import Marking
from studium_classroom.members import Members
from studium_classroom.receipts import Seal
from studium_classroom.refusals import RefusedError, TooManyError
from studium_classroom.regrades import Regrades
from studium_classroom.releases import Releases
from studium_classroom.roles import Person, Place, Role
from studium_classroom.schema import Submission
from studium_classroom.status import ClassState, History, Status
from studium_classroom.submissions import Submissions, receipt_of

if TYPE_CHECKING:
    from studium_graders.results.mistakes import Sentences


class Classroom:
    """A course server: its courses, its database in the folder ``data`` or at ``url``, and its two processes."""

    def __init__(self, roots: Iterable[Path], data: Path, url: str = "", terms: Terms | None = None) -> None:
        self.terms = terms or Terms()
        self.courses = Courses(roots)
        self.data = private_folder(data).resolve()
        self.database = Database(url or f"sqlite:///{private_file(self.data / 'classroom.db')}")
        self.members, self.audit = Members(self.database), Audit(self.database)
        self.blobs = Blobs(data / "blobs")
        self.seal = Seal(data / "secret")
        self.submissions = Submissions(self.database, self.blobs, self.seal)
        self.releases, self.checks = Releases(self.database), Checks(self.database)
        self.findings, self.boards = Findings(self.database), Boards(self.database)
        self.marking_pages = MarkingPages(self.database)
        self.regrades = Regrades(self.database)
        self.marking = Marking(self.members, self.regrades, lambda: self._sentences)
        self._reader = ClassReader(self.submissions, self.findings, self.members, self.regrades)
        self.live = Live(self._state, self._seen)
        self._checker, self._grader = Worker("check"), Worker("grade")
        parts = (self.courses, self.submissions, self.blobs, self._grader, self.terms)
        self.line = GradingLine(*parts, changed=self.live.changed)
        self._checking: set[tuple[str, str]] = set()
        self._turns: WeakValueDictionary[str, asyncio.Lock] = (
            WeakValueDictionary()
        )  # submissions of those who hand in now
        self._grading: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start grading whatever is waiting, and warm up."""
        self._grading = asyncio.create_task(self.line.run())
        await self._grader.start()
        await self._checker.start()

    async def close(self) -> None:
        """End the processes; the next server grades what is still waiting."""
        if self._grading:
            self._grading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._grading
        await self._grader.close()
        await self._checker.close()
        self.database.close()

    # ------------------------------------------------------------------------------------------------ for students

    def assignments(self, course: CourseFolder, person: Person, now: datetime) -> list[AssignmentView]:
        """Return the assignments of a course as one person sees them."""
        role = person.places[course.id].role
        attempts = self.submissions.attempts(course.id, [person.name])
        return [
            self._view(course, one, person.name, attempts.get((one.name, person.name), []), now)
            for one in course.assignments(role, now)
        ]

    def _view(
        self, course: CourseFolder, assignment: Assignment, student: str, rows: list[Submission], now: datetime
    ) -> AssignmentView:
        deadline, handout = course.deadline(assignment, student), course.handout(assignment.name)
        shown = self.shows_marks(course, assignment, deadline, now)
        pages = self.submissions.pages([row.id for row in rows]) if shown else {}
        asked = self.regrades.of_students(course.id, [student]) if shown else {}
        attempts = [
            _attempt(row, pages.get(row.id, []), asked.get((row.assignment, student, row.attempt)), shown=shown)
            for row in rows
        ]
        per_hour = course.course.classroom.checks_per_hour
        return AssignmentView(
            course.id,
            assignment.name,
            handout.digest,
            handout.notebooks,
            deadline.due,
            deadline.closes,
            deadline.extended,
            not deadline.is_closed(now),
            attempts[-1].state if attempts else "not handed in",
            attempts,
            self.checks.left(course.id, assignment.name, student, per_hour, now),
        )

    def shows_marks(self, course: CourseFolder, assignment: Assignment, deadline: Deadline, now: datetime) -> bool:
        """Return whether a student may see marks and feedback now."""
        match course.course.classroom.marks:
            case "at once":
                return True
            case "when due":
                return deadline.due is not None and now > deadline.due
            case _:
                return self.releases.has(course.id, assignment.name)

    async def hand_in(self, course: CourseFolder, person: Person, name: str, archive: bytes, now: datetime) -> Receipt:
        """Take in a submission as ``take`` does; one at a time for each student, since unpacking costs memory."""
        turn = self._turns.setdefault(person.name, asyncio.Lock())
        async with turn:
            return await asyncio.to_thread(self.take, course, person, name, archive, now)

    def take(self, course: CourseFolder, person: Person, name: str, archive: bytes, now: datetime) -> Receipt:
        """Take in a submission and return its receipt. Raise StudiumError if it cannot be accepted.

        The cheapest checks come first: the date, how many came in this hour, and only then the archive.
        """
        assignment = course.assignment(name, person.places[course.id].role, now)
        deadline = course.deadline(assignment, person.name)
        if deadline.is_closed(now):
            raise RefusedError(f"{name} has been closed since {deadline.closes:%Y-%m-%d %H:%M %Z}; ask your instructor")
        per_hour, place = course.course.classroom.submissions_per_hour, (course.id, name, person.name)
        sha256 = hashlib.sha256(archive).hexdigest()
        if again := self.submissions.require_room(*place, sha256, now, per_hour):
            return again
        _require_usable(archive, name, course.handout(name).notebooks)
        receipt = self.submissions.take(*place, archive, now, late=deadline.is_late(now), per_hour=per_hour)
        self.audit.note(course.id, person.name, "submit", f"{name} attempt {receipt.attempt}")
        return receipt

    async def check(self, course: CourseFolder, person: Person, name: str, asked: CheckRequest) -> CheckAnswer:
        """Check a notebook against all tests. Raise TooManyError, or StudiumError if it cannot be checked."""
        now = utc_now()
        course.assignment(name, person.places[course.id].role, now)
        key = (course.id, person.name)
        if key in self._checking:
            raise TooManyError(
                "only one check at a time is allowed, and one of yours is still running; wait for its answer"
            )
        self._checking.add(key)  # until it is noted, so that the next one counts it
        try:
            left = await asyncio.to_thread(self._require_check, course, person, name, now)
            job = CheckJob(str(course.root), name, asked.notebook, asked.document, asked.exercise, self.terms.trust)
            done = await self._checker.check(job)
            await asyncio.to_thread(self.checks.note, course.id, name, person.name, done.answer, done.mistakes)
        finally:
            self._checking.discard(key)
        self.live.changed(course.id, name)
        return msgspec.structs.replace(done.answer, checks_left=left - 1)

    def _require_check(self, course: CourseFolder, person: Person, name: str, now: datetime) -> int:
        """Return how many checks somebody has left this hour. Raise TooManyError if there is none."""
        per_hour = course.course.classroom.checks_per_hour
        left = self.checks.left(course.id, name, person.name, per_hour, now)
        if not left:
            raise TooManyError(
                f"{per_hour} checks of {name} an hour are allowed, and you have used them up; wait a while"
            )
        return left

    def feedback(self, course: CourseFolder, student: str, name: str, attempt: int, notebook: str) -> bytes:
        """Return a page of a student's own feedback. Raise RefusedError if there is none to see."""
        assignment, now = course.assignment(name, Role.STUDENT, utc_now()), utc_now()
        rows = self.submissions.attempts(course.id, [student]).get((name, student), [])
        row = next((row for row in rows if row.attempt == attempt), None)
        shown = self.shows_marks(course, assignment, course.deadline(assignment, student), now)
        page = self.submissions.page(row.id, notebook) if row and shown else None
        if page is None:
            raise RefusedError(f"you cannot see feedback on attempt {attempt} of {name} yet; look again later")
        return page

    def ask_regrade(self, course: CourseFolder, student: str, name: str, asked: RegradeRequest) -> Regrade:
        """Store a student's request to mark the newest attempt again. Raise RefusedError if its mark is not shown."""
        now = utc_now()
        assignment = course.assignment(name, Role.STUDENT, now)
        rows = self.submissions.attempts(course.id, [student]).get((name, student), [])
        newest = rows[-1] if rows else None
        shown = self.shows_marks(course, assignment, course.deadline(assignment, student), now)
        if newest is None or newest.attempt != asked.attempt or newest.score is None or not shown:
            raise RefusedError(
                f"you can ask for a regrade of your newest attempt at {name} once you see its mark; look at its "
                "feedback first"
            )
        return self.regrades.ask(course.id, name, student, asked.attempt, asked.text, now)

    # ------------------------------------------------------------------------------------------------ for the staff

    def status(self, course: CourseFolder, person: Person, name: str) -> Status:
        """Return the state of all students that a member of staff is responsible for."""
        place = person.places[course.id]
        course.assignment(name, place.role, utc_now())
        return self._seen(self._state(course.id, name), place)

    def history(self, course: CourseFolder, person: Person, name: str, student: str, exercise: str) -> History:
        """Return what was found in one exercise of a student. Raise RefusedError outside the person's section."""
        place = person.places[course.id]
        course.assignment(name, place.role, utc_now())
        sections = {one.user: one.section for one in roster_of(course, self.members)}
        if not place.sees(sections.get(student, "")):
            raise RefusedError(
                f"you are responsible for section {place.section!a} of {course.id}, and {student[:60]!a} is not in it"
            )
        found = self.findings.history(course.id, name, student, exercise)
        mistakes = {one.mistake for one in found if one.mistake}
        return History(student, exercise, found, {one: self._sentence(one) or one for one in sorted(mistakes)})

    def _state(self, course: str, name: str) -> ClassState:
        return self._reader.read(self.courses[course], name, self.line.problems.get((course, name), ""))

    def _seen(self, state: ClassState, place: Place) -> Status:
        return state.seen_by(place, self._sentence)

    def _sentence(self, mistake: str) -> str:
        return self._sentences.of(mistake)

    @cached_property
    def _sentences(self) -> "Sentences":
        from studium.catalogue.catalogue import load_catalogue  # here: a server whose boards nobody opens needs neither
        from studium_graders.results.mistakes import Sentences

        return Sentences(load_catalogue())

    def received(self, course: CourseFolder, person: Person, name: str) -> list[Receipt]:
        """Return the receipts of all submissions by the students that a member of staff is responsible for."""
        return [receipt_of(row) for row in self._received(course, person, name)]

    def archive(self, course: CourseFolder, person: Person, name: str, student: str, attempt: int) -> bytes:
        """Return what a student handed in. Raise RefusedError if there is nothing that the person may see."""
        rows = self._received(course, person, name)
        row = next((row for row in rows if (row.user, row.attempt) == (student, attempt)), None)
        if row is None:
            raise RefusedError(
                f"attempt {attempt} of {student} at {name} does not exist, or the student is not in your section"
            )
        return self.submissions.archive(row)

    def _received(self, course: CourseFolder, person: Person, name: str) -> list[Submission]:
        place, sections = person.places[course.id], self._sections(course)
        course.assignment(name, place.role, utc_now())
        attempts = self.submissions.attempts(course.id)
        return [
            row
            for (assignment, student), rows in sorted(attempts.items())
            if assignment == name and place.sees(sections.get(student, ""))
            for row in rows
        ]

    def _sections(self, course: CourseFolder) -> dict[str, str]:
        """Return the section of each student on the roster, those who are gone too."""
        roster = roster_of(course, self.members)
        return {one.user: one.section for one in roster if one.role == Role.STUDENT.label}


def _attempt(row: Submission, pages: list[str], regrade: Regrade | None, *, shown: bool) -> Attempt:
    state = _state(row)
    if not shown:
        return Attempt(receipt_of(row), "replaced" if state == "replaced" else "handed in")
    return Attempt(receipt_of(row), state, row.score, row.max_score, row.penalty, row.sentence, pages, regrade)


def _state(row: Submission) -> State:
    states: tuple[State, ...] = ("waiting", "replaced", "graded", "not graded")
    return next(state for state in states if state == row.state)


def _require_usable(archive: bytes, name: str, wanted: Sequence[str]) -> None:
    """Raise ArchiveError for an archive that grading could not use: if accepted, it would replace one that counts."""
    notebooks = {path: data for path, data in handed_in_files(archive).items() if path.casefold().endswith(".ipynb")}
    if not notebooks:
        raise ArchiveError(f"a submission of {name} needs a notebook, such as {wanted[0]}.ipynb: got none")
    for path, data in notebooks.items():
        try:
            read_cells(data)
        except UnreadableError as error:
            raise ArchiveError(
                f"{path} was not handed in, and what you handed in before still counts: {error}"
            ) from error
