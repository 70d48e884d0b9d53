"""Open the course server's database: an SQLite file, or PostgreSQL by its URL."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, select
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, OperationalError
from sqlalchemy.orm import Session
from studium.errors import CourseError

from studium_classroom.schema import VERSION, Base, Setting

_WRITES = "studium_writes"
_WAIT_SECONDS = 30  # seconds to wait while another program writes


class Database:
    """The database at ``url``, whose tables are created if missing. Its methods may be called from any thread."""

    def __init__(self, url: str) -> None:
        self._engine = _engine(url)
        self._writer = self._engine.execution_options(**{_WRITES: True})
        self._lock = threading.Lock()  # waiting for it is quicker than asking SQLite again and again
        try:
            Base.metadata.create_all(self._engine)
            with self.writing() as session:
                _require_version(session)
        except OperationalError as error:
            why = str(error.orig).splitlines()[0]
            raise CourseError(
                f"the classroom's database cannot be reached: {why}; start it, or correct its URL"
            ) from error

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Return a session that only reads."""
        with Session(self._engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """Return the only session that writes: its work is committed at the end, or undone if something is raised."""
        with self._lock, Session(self._writer, expire_on_commit=False) as session, session.begin():
            yield session

    def close(self) -> None:
        """Release the database."""
        self._engine.dispose()


def _engine(url: str) -> Engine:
    try:
        engine = create_engine(url, pool_pre_ping=not url.startswith("sqlite"))
    except (ArgumentError, NoSuchModuleError, ImportError) as error:
        raise CourseError(f"a database URL such as sqlite:///classroom.db is needed: {error}; correct it") from error
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _connected)
        event.listen(engine, "begin", _begin)
    return engine


def _connected(connection: Any, _: Any) -> None:
    """Let readers read while somebody writes, and make sure that a receipt means the row is on disk."""
    connection.isolation_level = None  # transactions begin where SQLAlchemy begins them
    for setting in ("journal_mode = wal", "synchronous = full", "foreign_keys = on"):
        connection.execute(f"pragma {setting}")
    connection.execute(f"pragma busy_timeout = {_WAIT_SECONDS * 1000}")


def _begin(connection: Connection) -> None:
    """Take the write lock at once: a transaction that asks for it later may find that others have written."""
    connection.exec_driver_sql("begin immediate" if _WRITES in connection.get_execution_options() else "begin")


def _require_version(session: Session) -> None:
    found = session.scalar(select(Setting.value).where(Setting.name == "version"))
    if found is None:
        session.add(Setting(name="version", value=str(VERSION)))
    elif found != str(VERSION):
        raise CourseError(
            f"the classroom's database has tables of version {found}, but version {VERSION} is needed; update Studium"
        )
