"""Who may look at a board, or mark: a link that works once, within minutes, and the session it is exchanged for."""

import secrets
from datetime import UTC, datetime, timedelta
from typing import ClassVar

from sqlalchemy import delete
from sqlalchemy.orm import Session
from studium.classroom.messages import BoardSession

from studium_classroom.database import Database
from studium_classroom.members import InvitationError, hash_of
from studium_classroom.roles import Person, Place, Role
from studium_classroom.schema import BoardPass, MarkingPass, Pass

LINK = timedelta(minutes=5)
SESSION = timedelta(hours=8)  # a day of teaching


class Boards:
    """The boards of all courses of one server. A session can read the boards of one course, and nothing else."""

    kind: ClassVar[type[Pass]] = BoardPass
    page: ClassVar[str] = "the board"

    def __init__(self, database: Database) -> None:
        self._database = database

    def link(self, course: str, user: str, place: Place) -> str:
        """Return the secret of a new link, which opens a board once, within five minutes."""
        with self._database.writing() as session:
            session.execute(delete(self.kind).where(self.kind.expires < datetime.now(UTC)))
            return self._add(session, Person(user, {course: place}), LINK, is_link=True)

    def open(self, secret: str) -> BoardSession:
        """Exchange the secret of a link for a session, once. Raise InvitationError if it cannot be used."""
        with self._database.writing() as session:
            row, now = session.get(self.kind, hash_of(secret)), datetime.now(UTC)
            if row is None or not row.is_link or row.expires < now:
                raise InvitationError(
                    f"the link to {self.page} is unknown, used or older than 5 minutes; make another one"
                )
            person = _person(row)
            session.delete(row)
            return BoardSession(row.course, row.user, self._add(session, person, SESSION, is_link=False), now + SESSION)

    def person(self, token: str) -> Person | None:
        """Return whose session it is, with the place in its one course; None if it is unknown or has ended."""
        with self._database.reading() as session:
            row = session.get(self.kind, hash_of(token))
        return _person(row) if row and not row.is_link and row.expires > datetime.now(UTC) else None

    def _add(self, session: Session, person: Person, lasts: timedelta, *, is_link: bool) -> str:
        secret = secrets.token_urlsafe(32)
        [(course, place)] = person.places.items()
        row = self.kind(sha256=hash_of(secret), course=course, user=person.name, is_link=is_link)
        row.role, row.section, row.expires = place.role.label, place.section, datetime.now(UTC) + lasts
        session.add(row)
        return secret


class MarkingPages(Boards):
    """The pages on which people mark by hand. A session can mark in one course, and nothing else."""

    kind = MarkingPass
    page = "the marking page"


def _person(row: Pass) -> Person:
    return Person(row.user, {row.course: Place(Role.named(row.role), row.section)})
