"""What checks and grading found, exercise by exercise, and where each student stands because of it."""

import threading
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Literal

import msgspec
from sqlalchemy import Select, select
from studium.classroom.messages import Outcome

from studium_classroom.database import Database
from studium_classroom.schema import Check, GradedExercise, Submission

State = Literal["untouched", "trying", "stuck", "right"]
STUCK_AFTER = 3  # findings in a row with the same mistake
_MOST = 100  # findings of one student and exercise that are shown


class Finding(msgspec.Struct, frozen=True):
    """What was found in one exercise by a check, or by grading the submission ``attempt`` (0 for a check).

    ``at`` is when the answer was sent; ``mistake`` is the id of a misconception, "" if none was recognised.
    """

    at: datetime
    outcome: Outcome
    mistake: str = ""
    attempt: int = 0


class Standing(msgspec.Struct, frozen=True):
    """Where a student stands with an exercise: ``at``, ``outcome`` and ``mistake`` are those of the newest finding."""

    exercise: str
    state: State
    checks: int
    at: datetime
    outcome: Outcome
    mistake: str = ""

    @property
    def mistakes(self) -> tuple[str, ...]:
        """The mistake, in the form that the report counts."""
        return (self.mistake,) if self.mistake else ()


class Trail(msgspec.Struct, frozen=True):
    """How many checks of one exercise a student made, and what the last three found."""

    checks: int = 0
    last: tuple[Finding, ...] = ()

    def plus(self, finding: Finding) -> "Trail":
        """Return the trail with another check added."""
        return Trail(self.checks + 1, (*self.last[1 - STUCK_AFTER :], finding))


class _Read(msgspec.Struct):
    """The checks of one assignment up to the row ``last``."""

    last: int = 0
    trails: dict[tuple[str, str], Trail] = {}


class Findings:
    """What was found in the answers to all assignments of one server. Its methods may be called from any thread."""

    def __init__(self, database: Database) -> None:
        self._database, self._lock = database, threading.Lock()
        self._read: defaultdict[tuple[str, str], _Read] = defaultdict(_Read)

    def standings(self, course: str, assignment: str) -> dict[str, list[Standing]]:
        """Return where each student stands, with an entry for each exercise in which something was found."""
        trails, graded = self._trails(course, assignment), self._graded(course, assignment)
        found: defaultdict[str, list[Standing]] = defaultdict(list)
        for user, exercise in sorted({*trails, *graded}):
            trail = trails.get((user, exercise), Trail())
            found[user].append(_standing(exercise, trail, graded.get((user, exercise))))
        return dict(found)

    def history(self, course: str, assignment: str, user: str, exercise: str) -> list[Finding]:
        """Return what was found in one exercise of one student, newest first, at most a hundred findings."""
        checks = _checks(course, assignment).where(Check.user == user, Check.exercise == exercise)
        graded = _graded(course, assignment).where(Submission.user == user, GradedExercise.exercise == exercise)
        with self._database.reading() as session:
            found = [_of_check(row) for row in session.execute(checks.order_by(Check.id.desc()).limit(_MOST))]
            found += [_of_grading(row) for row in session.execute(graded)]
        return sorted(found, key=lambda one: one.at, reverse=True)[:_MOST]

    def _trails(self, course: str, assignment: str) -> dict[tuple[str, str], Trail]:
        """Return the checks by student and exercise, reading only rows added since the last call."""
        with self._lock, self._database.reading() as session:
            read = self._read[course, assignment]
            query = _checks(course, assignment).where(Check.id > read.last).order_by(Check.id)
            for row in session.execute(query):
                key = row.user, row.exercise
                read.trails[key] = read.trails.get(key, Trail()).plus(_of_check(row))
                read.last = row.id
            return dict(read.trails)

    def _graded(self, course: str, assignment: str) -> dict[tuple[str, str], Finding]:
        """Return what grading found in the newest graded submission, by student and exercise."""
        query = _graded(course, assignment).order_by(Submission.attempt)
        with self._database.reading() as session:
            return {(row.user, row.exercise): _of_grading(row) for row in session.execute(query)}


def exercise_key(notebook: str, exercise: str) -> str:
    """Return the name of an exercise in an assignment with several notebooks: "lora.merge".

    Tests outside exercises count for the whole notebook and have its name.
    """
    return notebook if exercise in ("", notebook) else f"{notebook}.{exercise}"


def _standing(exercise: str, trail: Trail, graded: Finding | None) -> Standing:
    after = graded and (not trail.last or graded.at > trail.last[-1].at)
    last = (*trail.last, graded) if graded and after else trail.last
    newest = last[-1]
    return Standing(exercise, _state(last), trail.checks, newest.at, newest.outcome, newest.mistake)


def _state(findings: Iterable[Finding]) -> State:
    *_, newest = last = list(findings)[-STUCK_AFTER:]
    if newest.outcome != "wrong":
        return "right" if newest.outcome == "right" else "untouched"
    same = len(last) == STUCK_AFTER and {one.mistake for one in last} == {newest.mistake} and newest.mistake
    return "stuck" if same else "trying"


def _checks(course: str, assignment: str) -> "Select[int, str, str, datetime, str, str]":
    query = select(Check.id, Check.user, Check.exercise, Check.at, Check.outcome, Check.mistake)
    return query.where(Check.course == course, Check.assignment == assignment)


def _graded(course: str, assignment: str) -> Select[Any]:
    query = select(Submission.user, GradedExercise.exercise, Submission.received, Submission.attempt)
    found = query.add_columns(GradedExercise.outcome, GradedExercise.mistake)
    joined = found.join(GradedExercise, GradedExercise.submission == Submission.id)
    return joined.where(Submission.course == course, Submission.assignment == assignment)


def _of_check(row: Any) -> Finding:
    return Finding(row.at, row.outcome, row.mistake)


def _of_grading(row: Any) -> Finding:
    return Finding(row.received, row.outcome, row.mistake, row.attempt)
