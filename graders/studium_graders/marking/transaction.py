"""One transaction on a gradebook: all or nothing, and one at a time for each assignment."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from nbgrader.api import Assignment
from sqlalchemy import Connection, Engine, create_engine, event, select
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool
from studium.errors import UnknownNameError

from studium_graders.gradebook.errors import gradebook_errors, patient
from studium_graders.gradebook.reading import reading_gradebook
from studium_graders.marking.tables import Base


@contextmanager
def marking_transaction(url: str, assignment: str) -> Iterator[Session]:
    """Return a session that is committed at the end, or undone if something is raised. Our tables are made if missing.

    Raise CourseError if the gradebook cannot be used, and UnknownNameError for an assignment that it does not have.
    """
    with reading_gradebook(url):
        engine = _engine(patient(url))
    with gradebook_errors(url), Session(engine) as session, session.begin():
        own = select(Assignment.id).where(Assignment.name == assignment).with_for_update()  # SQLite has locked all
        if session.scalar(own) is None:
            raise UnknownNameError("assignment", assignment, session.scalars(select(Assignment.name)).all())
        Base.metadata.create_all(session.connection())
        yield session


@lru_cache(maxsize=32)
def _engine(url: str) -> Engine:
    """Return the engine of a gradebook. It is kept for its compiled statements, but not its connections."""
    engine = create_engine(url, poolclass=NullPool)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _connected)
        event.listen(engine, "begin", _begin)
    return engine


def _connected(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # transactions begin where SQLAlchemy begins them


def _begin(connection: Connection) -> None:
    """Take the write lock at once: what is read here decides what is written."""
    connection.exec_driver_sql("begin immediate")
