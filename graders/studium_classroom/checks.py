"""Checks that were made: how many are left in this hour, and who is stuck on what."""

import secrets
from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import datetime, timedelta

import msgspec
from sqlalchemy import func, select
from studium.classroom.messages import CheckAnswer

from studium_classroom.database import Database
from studium_classroom.schema import Check

_HOUR = timedelta(hours=1)
STUCK_AFTER = 3  # checks in a row with the same mistake


class Standing(msgspec.Struct, frozen=True):
    """Where a student is with an exercise, by the checks. ``stuck`` names the mistake that was made again and again."""

    exercise: str
    checks: int
    outcome: str
    stuck: str = ""


class Checks:
    """The checks of all courses of one server."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def left(self, course: str, assignment: str, user: str, per_hour: int, now: datetime) -> int:
        """Return how many checks somebody may still make in this hour."""
        query = select(func.count(func.distinct(Check.request))).where(
            Check.course == course, Check.assignment == assignment, Check.user == user, Check.at > now - _HOUR
        )
        with self._database.reading() as session:
            return max(0, per_hour - (session.scalar(query) or 0))

    def note(self, course: str, assignment: str, user: str, answer: CheckAnswer, mistakes: Mapping[str, str]) -> None:
        """Write down what a check found."""
        request, now = secrets.token_hex(8), datetime.now().astimezone()
        with self._database.writing() as session:
            for one in answer.exercises:
                row = Check(request=request, course=course, assignment=assignment, user=user, at=now)
                row.exercise, row.outcome = one.exercise, one.outcome
                row.mistake = mistakes.get(one.exercise, "")
                session.add(row)

    def standings(self, course: str, assignment: str) -> dict[str, list[Standing]]:
        """Return where each student is, by student, one entry for each exercise that was checked."""
        query = select(Check).where(Check.course == course, Check.assignment == assignment).order_by(Check.id)
        found: defaultdict[tuple[str, str], list[Check]] = defaultdict(list)
        with self._database.reading() as session:
            for row in session.scalars(query):
                found[row.user, row.exercise].append(row)
        standings: defaultdict[str, list[Standing]] = defaultdict(list)
        for (user, exercise), rows in sorted(found.items()):
            standings[user].append(Standing(exercise, len(rows), rows[-1].outcome, _stuck(rows)))
        return standings


def _stuck(rows: list[Check]) -> str:
    last = Counter(row.mistake for row in rows[-STUCK_AFTER:])
    mistake, times = last.most_common(1)[0]
    return mistake if times == STUCK_AFTER else ""
