"""Submissions: rows that are only ever added, each with its archive on disk before a receipt is given."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from math import inf

import msgspec
from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session
from studium.classroom.messages import Outcome, Receipt

from studium_classroom.blobs import Blobs
from studium_classroom.database import Database
from studium_classroom.receipts import Seal
from studium_classroom.refusals import TooManyError
from studium_classroom.schema import FeedbackPage, GradedExercise, Submission

WAITING, GRADED, FAILED, REPLACED = "waiting", "graded", "not graded", "replaced"
MOST_TRIES = 3  # attempts to grade one submission, before an instructor has to ask again
_HOUR = timedelta(hours=1)


class GradedOutcome(msgspec.Struct, frozen=True):
    """What grading found in an exercise; ``mistake`` is the id of a misconception, "" if none was recognised."""

    outcome: Outcome
    mistake: str = ""


class Graded(msgspec.Struct, frozen=True):
    """The result for one student's newest submission. ``problem`` is why it has no mark, or "".

    ``tries`` is how often grading was attempted for this.
    """

    student: str
    score: float | None = None
    max_score: float | None = None
    penalty: float = 0.0
    sentence: str = ""
    problem: str = ""
    pages: dict[str, bytes] = {}
    exercises: dict[str, GradedOutcome] = {}
    tries: int = 1


class Submissions:
    """The submissions of all courses of one server."""

    def __init__(self, database: Database, blobs: Blobs, seal: Seal) -> None:
        self._database, self._blobs, self._seal = database, blobs, seal

    def require_room(
        self, course: str, assignment: str, student: str, sha256: str, when: datetime, per_hour: float
    ) -> Receipt | None:
        """Raise TooManyError for a student who has sent ``per_hour`` submissions in the hour before ``when``.

        If the newest submission is this very archive, return its receipt, since it does not count again; otherwise
        return None.
        """
        with self._database.reading() as session:
            newest = _require_room(session, course, assignment, student, sha256, when, per_hour)
        return receipt_of(newest) if newest is not None and newest.sha256 == sha256 else None

    def take(
        self,
        course: str,
        assignment: str,
        student: str,
        archive: bytes,
        when: datetime,
        *,
        late: bool,
        per_hour: float = inf,
    ) -> Receipt:
        """Store a submission and return its receipt. Raise TooManyError as ``require_room`` does, in one transaction.

        A copy of the student's newest submission counts as the same one, sent again because the answer was lost.
        """
        sha256 = self._blobs.put(archive)
        with self._database.writing() as session:
            newest = _require_room(session, course, assignment, student, sha256, when, per_hour)
            if newest is not None and newest.sha256 == sha256:
                return receipt_of(newest)
            attempt = newest.attempt + 1 if newest else 1
            receipt = self._seal.signed(Receipt(course, assignment, student, attempt, when, sha256, len(archive), late))
            session.add(_row(receipt))
            self._blobs.put(archive)  # once more: since then, somebody with the same archive may have been erased
            if newest is not None and newest.state == WAITING:
                newest.state = REPLACED
            return receipt

    def has(self, receipt: Receipt) -> bool:
        """Return whether this very receipt was given, by this server or by the one that archived the course."""
        query = _of(receipt.course, receipt.assignment, receipt.student).where(Submission.attempt == receipt.attempt)
        with self._database.reading() as session:
            row = session.scalar(query)
        return row is not None and receipt_of(row) == receipt

    def attempts(self, course: str, students: Collection[str] = ()) -> dict[tuple[str, str], list[Submission]]:
        """Return a course's submissions by assignment and student, oldest first, or only those of ``students``."""
        query = select(Submission).where(Submission.course == course).order_by(Submission.attempt)
        if students:
            query = query.where(Submission.user.in_(students))
        found: defaultdict[tuple[str, str], list[Submission]] = defaultdict(list)
        with self._database.reading() as session:
            for row in session.scalars(query):
                found[row.assignment, row.user].append(row)
        return dict(found)

    def of_assignment(self, course: str, assignment: str) -> dict[str, list[Submission]]:
        """Return the submissions of an assignment by student, oldest first."""
        query = select(Submission).where(Submission.course == course, Submission.assignment == assignment)
        found: defaultdict[str, list[Submission]] = defaultdict(list)
        with self._database.reading() as session:
            for row in session.scalars(query.order_by(Submission.attempt)):
                found[row.user].append(row)
        return dict(found)

    def waiting(self) -> list[tuple[str, str]]:
        """Return the courses and assignments with submissions waiting to be graded, the longest wait first."""
        query = (
            select(Submission.course, Submission.assignment)
            .where(Submission.state == WAITING)
            .group_by(Submission.course, Submission.assignment)
            .order_by(func.min(Submission.received))
        )
        with self._database.reading() as session:
            return [(course, assignment) for course, assignment in session.execute(query)]

    def next_batch(self, course: str, assignment: str, most: int) -> list[Submission]:
        """Return the submissions to grade next: those that failed come last, one by one."""
        query = select(Submission).where(
            Submission.course == course, Submission.assignment == assignment, Submission.state == WAITING
        )
        with self._database.reading() as session:
            rows = list(session.scalars(query.order_by(Submission.tries, Submission.received).limit(most)))
        return rows[:1] if rows and rows[0].tries else [row for row in rows if not row.tries]

    def grade_again(self, course: str, assignment: str) -> int:
        """Queue the newest submission of each student for grading again, and return how many there are."""
        with self._database.writing() as session:
            rows = _newest(session, course, assignment)
            for row in rows:
                row.state, row.tries = WAITING, 0
            return len(rows)

    def note(self, batch: Sequence[Submission], graded: Collection[Graded], now: datetime) -> None:
        """Record the results of a batch. A submission without a result waits, or is given up after some tries."""
        by_student = {one.student: one for one in graded}
        pages = {one.student: {name: self._blobs.put(html) for name, html in one.pages.items()} for one in graded}
        with self._database.writing() as session:
            for row in session.scalars(select(Submission).where(Submission.id.in_([one.id for one in batch]))):
                one = by_student.get(row.user, Graded(row.user, problem="it was not graded"))
                if not one.problem:
                    row.score, row.max_score, row.penalty = one.score, one.max_score, one.penalty
                    row.state, row.sentence, row.graded = GRADED, one.sentence[:2000], now
                    for name, sha256 in pages[row.user].items():
                        session.merge(FeedbackPage(submission=row.id, notebook=name, sha256=sha256))
                    for name, found in one.exercises.items():
                        values = {"outcome": found.outcome, "mistake": found.mistake}
                        session.merge(GradedExercise(submission=row.id, exercise=name, **values))
                    continue
                row.tries += one.tries
                if row.tries >= MOST_TRIES and row.state == WAITING:
                    row.state, row.sentence = FAILED, one.problem[:2000]

    def page(self, submission: int, notebook: str) -> bytes | None:
        """Return a feedback page, or None if there is none."""
        with self._database.reading() as session:
            row = session.get(FeedbackPage, (submission, notebook))
        return self._blobs.get(row.sha256) if row else None

    def pages(self, submissions: Collection[int]) -> dict[int, list[str]]:
        """Return the notebooks that have a feedback page, by submission."""
        query = select(FeedbackPage.submission, FeedbackPage.notebook).where(FeedbackPage.submission.in_(submissions))
        found: defaultdict[int, list[str]] = defaultdict(list)
        with self._database.reading() as session:
            for submission, notebook in session.execute(query.order_by(FeedbackPage.notebook)):
                found[submission].append(notebook)
        return found

    def archive(self, submission: Submission) -> bytes:
        """Return what was handed in."""
        return self._blobs.get(submission.sha256)


def receipt_of(row: Submission) -> Receipt:
    """Return a submission's receipt, as it was given."""
    values = (row.course, row.assignment, row.user, row.attempt, row.received, row.sha256, row.size, row.late)
    return Receipt(*values, row.signature)


def _row(receipt: Receipt) -> Submission:
    return Submission(
        course=receipt.course,
        assignment=receipt.assignment,
        user=receipt.student,
        attempt=receipt.attempt,
        received=receipt.received,
        sha256=receipt.sha256,
        size=receipt.size,
        late=receipt.late,
        signature=receipt.signature,
        state=WAITING,
        tries=0,
        penalty=0.0,
        sentence="",
    )


def _of(course: str, assignment: str, student: str) -> Select[Submission]:
    return select(Submission).where(
        Submission.course == course, Submission.assignment == assignment, Submission.user == student
    )


def _require_room(
    session: Session, course: str, assignment: str, student: str, sha256: str, when: datetime, per_hour: float
) -> Submission | None:
    """Return a student's newest submission, or None. Raise TooManyError if another would be too many."""
    newest = session.scalar(_of(course, assignment, student).order_by(Submission.attempt.desc()).limit(1))
    if newest is not None and newest.sha256 == sha256:
        return newest
    recent = _of(course, assignment, student).where(Submission.received > when - _HOUR).subquery()
    if (session.scalar(select(func.count()).select_from(recent)) or 0) >= per_hour:
        raise TooManyError(
            f"{per_hour} submissions of {assignment} an hour are accepted, and you have sent that many; the last one "
            f"counts, so wait a while before you send another"
        )
    return newest


def _newest(session: Session, course: str, assignment: str) -> list[Submission]:
    rows = session.scalars(
        select(Submission)
        .where(Submission.course == course, Submission.assignment == assignment)
        .order_by(Submission.attempt)
    )
    return list({row.user: row for row in rows}.values())
