"""The SQLite file that keeps everything, for many processes at once: kernels, the server, commands.

Each write is one short transaction. A damaged file is set aside under another name, never deleted.
"""

import contextlib
import sqlite3
import threading
import time
import weakref
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from studium.desk.places import data_folder
from studium.desk.records import Entry, What
from studium.errors import StudiumError

FILE = "progress.db"
_WAIT_SECONDS = 10.0
# Step n brings a file from version n to n + 1. Released steps are never changed: add one.
_MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """create table entries (
            workspace text not null, id text not null, lesson text not null, exercise text not null,
            time integer not null, what blob not null, primary key (workspace, id)) without rowid""",
        "create index entries_by_place on entries (workspace, lesson, exercise, time)",
        """create table backups (
            id text primary key, notebook text not null, time integer not null, reason text not null,
            content text not null) without rowid""",
        """create table labels (
            lesson text not null, cell text not null, exercise text not null, profile text not null,
            seconds real not null, mb real not null, time integer not null,
            primary key (lesson, cell, profile)) without rowid""",
        "create table settings (name text primary key, value text not null) without rowid",
    ),
)


class StateError(StudiumError):
    """The learner's state cannot be read or written."""


class Store:
    """One connection to the state, for any thread. ``notice`` tells what was set aside when it was opened, or is ""."""

    def __init__(self, folder: Path | None = None) -> None:
        self.path = (folder or data_folder()) / FILE
        self.notice = ""
        self._lock = threading.RLock()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = self._open()
        except (OSError, sqlite3.Error) as error:
            raise StateError(
                f"your progress is kept in {self.path}, which cannot be opened: {error}; free some space, or name "
                "another folder in STUDIUM_DATA"
            ) from error
        weakref.finalize(self, self._connection.close)  # a lesson's kernel has no end at which it could close it

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read(self, query: str, *values: object) -> list[tuple[object, ...]]:
        """Return the rows of a query."""
        with self._told():
            return self._connection.execute(query, values).fetchall()

    def write(self, statement: str, rows: Iterable[tuple[object, ...]]) -> int:
        """Execute a statement for each row, all or none; return how many rows changed."""
        with self._told(), self._transaction():
            return self._connection.executemany(statement, rows).rowcount

    def add(self, workspace: str, entries: Iterable[Entry]) -> int:
        """Store entries, ignoring those already there. Return how many were new."""
        rows = ((workspace, e.id, e.lesson, e.exercise, e.time, msgspec.json.encode(e.what)) for e in entries)
        return self.write("insert or ignore into entries values (?, ?, ?, ?, ?, ?)", rows)

    def entries(self, workspace: str, lesson: str | None = None, exercise: str | None = None) -> list[Entry]:
        """Return the entries of a workspace in order of time."""
        rows = self.read(
            "select id, time, lesson, what, exercise from entries where workspace = ?1 and (?2 is null or lesson = ?2)"
            " and (?3 is null or exercise = ?3) order by time, id",
            workspace,
            lesson,
            exercise,
        )
        return [Entry(i, t, name, _decoder.decode(what), e) for i, t, name, what, e in rows]  # type: ignore[arg-type]

    def version(self) -> int:
        """Return a number that changes whenever any process has written."""
        with self._told():
            return int(self._connection.execute("pragma data_version").fetchone()[0])

    def _open(self) -> sqlite3.Connection:
        try:
            return self._connect()
        except sqlite3.OperationalError:  # locked, read-only, a full disk: the file itself is intact
            raise
        except sqlite3.DatabaseError:
            aside = self.path.with_name(f"{FILE}.damaged-{time.strftime('%Y%m%d-%H%M%S')}-{time.time_ns() % 10**6:06}")
            for suffix in ("", "-wal", "-shm"):
                with contextlib.suppress(FileNotFoundError):
                    self.path.with_name(FILE + suffix).rename(aside.with_name(aside.name + suffix))
            self.notice = (
                f"your progress file was damaged and has been kept as {aside.name}; a new one was started: import a "
                f"progress file to get your progress back"
            )
            return self._connect()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=_WAIT_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            _log_ahead(connection)
            connection.execute("pragma synchronous = full")
            _require_sound(connection)
            _migrate(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("begin immediate")
        try:
            yield
            self._connection.execute("commit")
        except BaseException:
            self._connection.execute("rollback")
            raise

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            with self._lock:
                yield
        except sqlite3.Error as error:
            raise StateError(f"your progress in {self.path} could not be used: {error}; try again") from error


_decoder = msgspec.json.Decoder(What)


def _log_ahead(connection: sqlite3.Connection) -> None:
    """Let readers and a writer work at the same time; if that is not possible, the file stays as it was.

    SQLite's own waiting does not cover this statement: it reads before it writes, and two processes doing so could wait
    for each other for ever.
    """
    end = time.monotonic() + _WAIT_SECONDS
    while True:
        try:
            connection.execute("pragma journal_mode = wal")
            return
        except sqlite3.OperationalError as error:
            if (
                error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > end
            ):  # then the reason for it is smaller
                raise
        time.sleep(0.01)


def _require_sound(connection: sqlite3.Connection) -> None:
    if (found := connection.execute("pragma quick_check(1)").fetchone()) != ("ok",):
        raise sqlite3.DatabaseError(str(found[0]))


def _migrate(connection: sqlite3.Connection) -> None:
    """Bring a file to this version, even if other processes try the same."""
    if _version(connection) == len(_MIGRATIONS):
        return
    connection.execute("begin immediate")
    try:
        version = _version(connection)
        if version > len(_MIGRATIONS):
            raise StateError(
                f"your progress was written by a newer Studium (format {version}, this one knows "
                f"{len(_MIGRATIONS)}); update Studium, or name another folder in STUDIUM_DATA"
            )
        for step in _MIGRATIONS[version:]:
            for statement in step:
                connection.execute(statement)
        connection.execute(f"pragma user_version = {len(_MIGRATIONS)}")
        connection.execute("commit")
    except BaseException:
        connection.execute("rollback")
        raise


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("pragma user_version").fetchone()[0])
