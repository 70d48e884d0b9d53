"""Checks that were made: what they found, and how many are left this hour."""

import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import func, select
from studium.classroom.messages import CheckAnswer

from studium_classroom.database import Database
from studium_classroom.findings import exercise_key
from studium_classroom.schema import Check

_HOUR = timedelta(hours=1)


class Checks:
    """The checks of all courses of one server."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def left(self, course: str, assignment: str, user: str, per_hour: int, now: datetime) -> int:
        """Return how many checks somebody may still make this hour."""
        query = select(func.count(func.distinct(Check.request))).where(
            Check.course == course, Check.assignment == assignment, Check.user == user, Check.at > now - _HOUR
        )
        with self._database.reading() as session:
            return max(0, per_hour - (session.scalar(query) or 0))

    def note(self, course: str, assignment: str, user: str, answer: CheckAnswer, mistakes: Mapping[str, str]) -> None:
        """Record what a check found."""
        request, now = secrets.token_hex(8), datetime.now().astimezone()
        with self._database.writing() as session:
            for one in answer.exercises:
                row = Check(request=request, course=course, assignment=assignment, user=user, at=now)
                row.exercise, row.outcome = exercise_key(answer.notebook, one.exercise), one.outcome
                row.mistake = mistakes.get(one.exercise, "")
                session.add(row)
