"""The audit log: who did what, and who was refused."""

import re
from datetime import UTC, datetime
from urllib.parse import unquote

import msgspec
from sqlalchemy import select

from studium_classroom.database import Database
from studium_classroom.schema import Event

_MOST = 1000
_NAMES = [
    re.compile(pattern, re.DOTALL)
    for pattern in (
        r"(?P<who>.+) as \w+",  # an invitation
        r"(?P<who>\S+) \S+ until \S+",  # an extension
        r"\S+ attempt \d+ of (?P<who>.+)",  # a submission that was collected
        r".*/(?:received|status)/(?P<who>[^/]+)/.+",  # an address that was refused
    )
]


class Entry(msgspec.Struct, frozen=True):
    """One line of the log."""

    at: datetime
    user: str
    action: str
    subject: str
    refused: bool


class Audit:
    """The log of one server."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def note(self, course: str, user: str, action: str, subject: str = "", *, refused: bool = False) -> None:
        """Add a line."""
        row = Event(at=datetime.now(UTC), course=course[:255], user=user[:255], action=action, refused=refused)
        row.subject = subject[:255]
        with self._database.writing() as session:
            session.add(row)

    def of(self, course: str) -> list[Entry]:
        """Return the last thousand lines about a course, newest first."""
        query = select(Event).where(Event.course == course).order_by(Event.id.desc()).limit(_MOST)
        with self._database.reading() as session:
            return [Entry(row.at, row.user, row.action, row.subject, row.refused) for row in session.scalars(query)]


def names(subject: str, person: str) -> bool:
    """Return whether what a line is about names a person, and not only a word that is the same."""
    return renamed(subject, person, "") != subject


def renamed(subject: str, person: str, alias: str) -> str:
    """Return what a line is about with another name for a person."""
    for pattern in _NAMES:
        if (found := pattern.fullmatch(subject)) and unquote(found["who"]) == person:
            return f"{subject[: found.start('who')]}{alias}{subject[found.end('who') :]}"
    return subject
