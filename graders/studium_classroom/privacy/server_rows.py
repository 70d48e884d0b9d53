"""What a course server's database holds about a person, with the files that its rows name."""

import secrets
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, delete, func, select
from sqlalchemy.orm import Session

from studium_classroom.audit import names, renamed
from studium_classroom.blobs import Blobs
from studium_classroom.database import Database
from studium_classroom.privacy.place import Item, as_json, counted
from studium_classroom.schema import Base, Event, FeedbackPage, Submission
from studium_classroom.submissions import receipt_of

_KINDS = sorted((mapper.class_ for mapper in Base.registry.mappers), key=lambda kind: kind.__tablename__)
_PERSONAL = [kind for kind in _KINDS if {"course", "user"} <= set(kind.__table__.c.keys()) and kind is not Event]
_OF_SUBMISSIONS = [kind for kind in _KINDS if "submission" in kind.__table__.c]


class ServerRows:
    """One course in the database of a server."""

    name = "course server"

    def __init__(self, database: Database, blobs: Blobs, course: str) -> None:
        self._database, self._blobs, self._course = database, blobs, course

    def holds(self, person: str) -> Mapping[str, int]:
        """Return the numbers of rows."""
        with self._database.reading() as session:
            numbers = {kind.__tablename__: _count(session, kind, own) for kind, own in self._own(person).items()}
            numbers["line_of_the_log"] = len(self._events(session, person))
        return counted(**numbers)

    def items(self, person: str) -> Iterator[Item]:
        """Return the rows as JSON, and what was handed in and the feedback as they are. Secrets are left out."""
        with self._database.reading() as session:
            own = self._own(person)
            rows = {kind.__tablename__: _rows(session, kind, where) for kind, where in own.items()}
            submissions = list(session.scalars(select(Submission).where(own[Submission])))
            pages = list(session.scalars(select(FeedbackPage).where(own[FeedbackPage])))
            events = [_row(one) for one in self._events(session, person)]
        if not (any(rows.values()) or events):
            return
        yield Item("server/rows.json", "membership, submissions, checks and findings, by table", as_json(rows))
        receipts = [receipt_of(row) for row in submissions]
        yield Item("server/receipts.json", "the receipts for what was handed in", as_json(receipts))
        yield Item("server/log.json", "what the person did, or others did to them", as_json(events))
        places = {row.id: f"server/{row.assignment}/attempt-{row.attempt}" for row in submissions}
        for row in submissions:
            yield from self._item(f"{places[row.id]}.zip", "what was handed in, as it was received", row.sha256)
        for page in pages:
            where = f"{places[page.submission]}/{page.notebook}.html"
            yield from self._item(where, "the feedback that the server shows", page.sha256)

    def erase(self, person: str) -> None:
        """Remove the rows and the files that nobody else's rows name. In the log, a made-up name replaces the person's.

        The files go first: if this is interrupted, all rows are still there and name what is left.
        """
        if not self.holds(person):
            return
        with self._database.writing() as session:
            own = self._own(person)
            for name in _named(session, own, others=False) - _named(session, own, others=True):
                self._blobs.remove(name)
            for kind in (*_OF_SUBMISSIONS, *_PERSONAL):
                session.execute(delete(kind).where(own[kind]).execution_options(synchronize_session=False))
            alias = f"erased-{secrets.token_hex(8)}"
            for row in self._events(session, person):
                row.user = alias if row.user == person else row.user
                row.subject = renamed(row.subject, person, alias)
            at = datetime.now(UTC)
            session.add(Event(at=at, course=self._course, user="", action="erase", subject=alias, refused=False))

    def known(self) -> set[str]:
        """Return whoever is in a table."""
        with self._database.reading() as session:
            queries = [select(kind.user).where(kind.course == self._course).distinct() for kind in _PERSONAL]
            return {str(user) for query in queries for user in session.scalars(query)}

    def _own(self, person: str) -> dict[Any, ColumnElement[bool]]:
        """Return which rows of each table are a person's."""
        found: dict[Any, ColumnElement[bool]] = {
            kind: and_(kind.course == self._course, kind.user == person) for kind in _PERSONAL
        }
        submissions = select(Submission.id).where(found[Submission])
        return found | {kind: kind.submission.in_(submissions) for kind in _OF_SUBMISSIONS}

    def _events(self, session: Session, person: str) -> list[Event]:
        """Return the lines of the log that name a person, by whoever they are."""
        rows = session.scalars(select(Event).where(Event.course == self._course).order_by(Event.id))
        return [row for row in rows if row.user == person or names(row.subject, person)]

    def _item(self, path: str, what: str, name: str) -> Iterator[Item]:
        """Return a file as an item; it may be gone, if an erasure was interrupted."""
        if self._blobs.path(name).is_file():
            yield Item(path, what, self._blobs.path(name))


def _named(session: Session, own: Mapping[Any, ColumnElement[bool]], *, others: bool) -> set[str]:
    """Return the files that a person's rows name, or those that all other rows name."""
    queries: list[Select[Any]] = [
        select(kind.sha256).where(~own[kind] if others else own[kind]) for kind in (Submission, FeedbackPage)
    ]
    return {str(name) for query in queries for name in session.scalars(query)}


def _count(session: Session, kind: Any, own: ColumnElement[bool]) -> int:
    return session.scalar(select(func.count()).select_from(kind).where(own)) or 0


def _rows(session: Session, kind: Any, own: ColumnElement[bool]) -> list[dict[str, Any]]:
    return [_row(row) for row in session.scalars(select(kind).where(own))]


def _row(row: Any) -> dict[str, Any]:
    """Return a row without the hash of a secret, which is the key of tables of secrets."""
    columns = row.__table__.columns
    return {
        column.name: getattr(row, column.name)
        for column in columns
        if (column.name, column.primary_key) != ("sha256", True)
    }
