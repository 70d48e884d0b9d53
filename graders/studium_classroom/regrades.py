"""Requests of students to mark an attempt again, and the replies of the staff."""

from collections.abc import Callable, Collection
from datetime import datetime

from sqlalchemy import Select, select
from studium.classroom.messages import Regrade
from studium.errors import UsageError

from studium_classroom.database import Database
from studium_classroom.refusals import RefusedError
from studium_classroom.schema import RegradeRow

MOST_TEXT = 2000  # characters of a request or a reply


class Regrades:
    """The requests of all courses of one server. There is one for each attempt at most."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def ask(self, course: str, assignment: str, student: str, attempt: int, text: str, now: datetime) -> Regrade:
        """Store a request. Raise RefusedError if there is another one; the same text again is the same request."""
        text = _text(text, "a request for a regrade needs a reason")
        with self._database.writing() as session:
            of_student = _of(course, assignment).where(RegradeRow.user == student)
            row = session.scalar(of_student.where(RegradeRow.attempt == attempt))
            if row is None:
                values = {"course": course, "assignment": assignment, "user": student, "attempt": attempt}
                row = RegradeRow(**values, text=text, asked=now, reply="")
                session.add(row)
            elif row.text != text:
                raise RefusedError(
                    f"you have asked for a regrade of attempt {attempt} already, and one request is possible for each "
                    "attempt; the reply will appear beside its mark"
                )
            return regrade_of(row)

    def of_students(self, course: str, students: Collection[str]) -> dict[tuple[str, str, int], Regrade]:
        """Return the requests of these students by assignment, student and attempt."""
        query = select(RegradeRow).where(RegradeRow.course == course, RegradeRow.user.in_(students))
        with self._database.reading() as session:
            return {(row.assignment, row.user, row.attempt): regrade_of(row) for row in session.scalars(query)}

    def of_assignment(self, course: str, assignment: str) -> list[RegradeRow]:
        """Return the requests about an assignment: first those without a reply, each the oldest first."""
        with self._database.reading() as session:
            rows = list(session.scalars(_of(course, assignment).order_by(RegradeRow.asked, RegradeRow.id)))
        return sorted(rows, key=lambda row: row.replied is not None)

    def open(self, course: str, assignment: str) -> set[str]:
        """Return the students who wait for a reply."""
        query = select(RegradeRow.user).where(RegradeRow.course == course, RegradeRow.assignment == assignment)
        with self._database.reading() as session:
            return set(session.scalars(query.where(RegradeRow.replied.is_(None))))

    def reply(
        self, course: str, assignment: str, request: int, text: str, now: datetime, sees: Callable[[str], bool]
    ) -> RegradeRow:
        """Reply to a request, or change the reply. ``sees`` tells whose requests the person may see."""
        text = _text(text, "a reply needs a text")
        with self._database.writing() as session:
            row = session.scalar(_of(course, assignment).where(RegradeRow.id == request))
            if row is None or not sees(row.user):
                raise UsageError("there is no such request among those that you may see; reload the page")
            row.reply, row.replied = text, now
            return row


def regrade_of(row: RegradeRow) -> Regrade:
    """Return what a student sees of a request."""
    return Regrade(row.text, row.asked, row.reply, row.replied)


def _of(course: str, assignment: str) -> Select[RegradeRow]:
    return select(RegradeRow).where(RegradeRow.course == course, RegradeRow.assignment == assignment)


def _text(text: str, needed: str) -> str:
    text = text.replace("\0", "").strip()  # PostgreSQL stores no NUL
    if not text or len(text) > MOST_TEXT:
        raise UsageError(f"{needed}, of at most {MOST_TEXT:,} characters: got {len(text):,}; write it again")
    return text
