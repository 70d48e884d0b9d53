"""A course as one file: its folder, what students handed in and the results. Without tokens and invitations."""

import sqlite3
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import FromClause, select
from sqlalchemy.orm import Session
from studium.errors import UsageError
from studium_graders.course.private_files import private_file

from studium_classroom.classroom import Classroom
from studium_classroom.database import Database
from studium_classroom.schema import (
    VERSION,
    Base,
    Check,
    Event,
    FeedbackPage,
    GradedExercise,
    Member,
    RegradeRow,
    Release,
    Submission,
)
from studium_classroom.settings import FILE as SETTINGS

FORMAT = 1
MANIFEST, ROWS, FILES, BLOBS = "archive.json", "rows.json", "course", "blobs"
OF_SUBMISSIONS: tuple[type[FeedbackPage | GradedExercise], ...] = (FeedbackPage, GradedExercise)
KINDS: tuple[type[Base], ...] = (Member, Submission, *OF_SUBMISSIONS, Release, RegradeRow, Check, Event)
_SQLITE = b"SQLite format 3\0"
_BESIDE_SQLITE = ("-wal", "-shm", "-journal")


class Manifest(msgspec.Struct, frozen=True):
    """Which course an archive contains, and when it was made; ``version`` is that of the tables."""

    course: str
    archived: datetime
    format: int = FORMAT
    version: int = VERSION


def archive_course(classroom: Classroom, course: str, target: Path) -> Manifest:
    """Write a course to the file ``target``, completely or not at all. Raise UsageError if the file exists.

    Only its owner can read the file. The server may be running. A gradebook on a database server is not in the course's
    folder, and so not in the archive.
    """
    root, manifest = classroom.courses[course].root, Manifest(course, datetime.now(UTC))
    if target.exists() or target.resolve().is_relative_to(root):
        raise UsageError(f"an archive must be a new file outside the course's folder: got {target}; choose another one")
    with tempfile.TemporaryDirectory(dir=target.absolute().parent, prefix=".archive-") as made:
        staged = private_file(Path(made, "archive.zip"))
        with zipfile.ZipFile(staged, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False) as written:
            rows = _rows(classroom.database, course)
            written.writestr(MANIFEST, msgspec.json.encode(manifest))
            written.writestr(ROWS, msgspec.json.encode(rows))
            for name in sorted(
                {row["sha256"] for kind in (Submission, FeedbackPage) for row in rows[table_name(kind)]}
            ):
                written.write(classroom.blobs.path(name), f"{BLOBS}/{name}")
            for path in _files(root, classroom.data):
                written.write(_settled(path, Path(made)), f"{FILES}/{path.relative_to(root).as_posix()}")
        staged.replace(target)
    return manifest


def _rows(database: Database, course: str) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of a course by table, all as of the same moment."""
    with database.reading() as session:
        whole = [kind for kind in KINDS if "course" in kind.__table__.c]
        found = {table_name(kind): _of(session, kind.__table__, course) for kind in whole}
        numbers = {row["id"] for row in found[table_name(Submission)]}
        for kind in OF_SUBMISSIONS:
            rows = session.execute(select(kind.__table__)).mappings()
            found[table_name(kind)] = [dict(row) for row in rows if row["submission"] in numbers]
    return found


def _of(session: Session, table: FromClause, course: str) -> list[dict[str, Any]]:
    query = select(table).where(table.c.course == course).order_by(*table.primary_key)
    return [dict(row) for row in session.execute(query).mappings()]


def table_name(kind: type[Base]) -> str:
    """Return the name of the file with a table's rows in an archive."""
    return str(kind.__tablename__)


def _files(root: Path, data: Path) -> Iterator[Path]:
    """Return the files of a course's folder, without the server's settings and data: its secret, other courses."""
    for path in sorted(root.rglob("*")):
        own = path.is_relative_to(data) or path == root / SETTINGS
        if path.is_file() and not own and not path.name.endswith(_BESIDE_SQLITE):
            yield path


def _settled(path: Path, scratch: Path) -> Path:
    """Return a copy of a database as of its last transaction, or any other file itself."""
    with path.open("rb") as file:
        if file.read(len(_SQLITE)) != _SQLITE:
            return path
    copy = scratch / "database"
    copy.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    return copy
