"""Reading an archive of a course: its folder becomes a new one, its submissions those of a server."""

import hashlib
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, delete, select
from sqlalchemy.orm import Session
from studium.errors import UsageError
from studium_graders.private_files import private_file, private_folder

from studium_classroom.archiving import BLOBS, FILES, FORMAT, KINDS, MANIFEST, ROWS, Manifest, table_name
from studium_classroom.classroom import Classroom
from studium_classroom.schema import VERSION, Base, BoardPass, InvitationRow, Moment, Submission


class Archive:
    """An archive that was opened; ``manifest`` says of what."""

    def __init__(self, opened: zipfile.ZipFile) -> None:
        self._opened = opened
        self.manifest = msgspec.json.decode(opened.read(MANIFEST), type=Manifest)
        if (self.manifest.format, self.manifest.version) != (FORMAT, VERSION):
            raise UsageError(
                f"the archive has the form {self.manifest.format} with tables of version {self.manifest.version}, and "
                f"{FORMAT} with {VERSION} is needed; read it with the Studium that wrote it"
            )

    def write_folder(self, target: Path) -> None:
        """Write the course's folder at once, for its owner alone. Raise UsageError where there are files already."""
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise UsageError(f"a course is read into a new folder: {target} is there already; name another --into")
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.absolute().parent, prefix=".restored-") as made:
            staged = Path(made, "course").resolve()
            private_folder(staged)
            for entry, path in self._inside(FILES):
                place = (staged / path).resolve()
                if not place.is_relative_to(staged):
                    raise UsageError(f"an archive has the files of one folder: {path[:80]!a} leads out of it")
                private_folder(place.parent)
                with self._opened.open(entry) as source, private_file(place).open("wb") as written:
                    shutil.copyfileobj(source, written)
            if target.exists():
                target.rmdir()
            staged.rename(target)

    def add_rows(self, classroom: Classroom) -> None:
        """Put what students handed in, and what became of it, into a server. Raise UsageError where it has some.

        Rows get new numbers: the database may have other courses.
        """
        rows = msgspec.json.decode(self._opened.read(ROWS), type=dict[str, list[dict[str, Any]]])
        for entry, name in self._inside(BLOBS):
            content = self._opened.read(entry)
            if hashlib.sha256(content).hexdigest() != name:
                raise UsageError(f"the archive is damaged: {name[:64]!a} is not what it was; use another copy")
            classroom.blobs.put(content)
        course = self.manifest.course
        with classroom.database.writing() as session:
            if session.scalar(select(Submission.id).where(Submission.course == course).limit(1)):
                raise UsageError(f"this server has submissions of {course} already; choose another with --course")
            for given in (BoardPass, InvitationRow):  # for places that are others now
                session.execute(delete(given).where(given.course == course))
            numbers: dict[int, int] = {}
            for kind in KINDS:
                for row in rows.get(table_name(kind), []):
                    _add(session, kind, row, numbers)

    def _inside(self, folder: str) -> Iterator[tuple[zipfile.ZipInfo, str]]:
        for entry in self._opened.infolist():
            top, _, path = entry.filename.partition("/")
            if top == folder and not entry.is_dir():
                yield entry, path


@contextmanager
def opened_archive(file: Path) -> Iterator[Archive]:
    """Open an archive. Raise UsageError for a file that is none, or one that is damaged."""
    try:
        with zipfile.ZipFile(file) as opened:
            yield Archive(opened)
    except (OSError, KeyError, zipfile.BadZipFile, msgspec.MsgspecError) as error:
        raise UsageError(f"{file} is no archive of a course that can be read: {error}; use another copy") from error


def _add(session: Session, kind: type[Base], row: dict[str, Any], numbers: dict[int, int]) -> None:
    """Add a row; ``numbers`` has the new numbers of submissions by the old ones."""
    values = {name: _value(kind.__table__.c[name], value) for name, value in row.items()}
    old = values.pop("id", 0)
    if "submission" in values:
        values["submission"] = numbers[values["submission"]]
    made = session.merge(kind(**values))
    if isinstance(made, Submission):
        session.flush()
        numbers[old] = made.id


def _value(column: ColumnElement[Any], value: Any) -> Any:
    return datetime.fromisoformat(value) if isinstance(column.type, Moment) and value is not None else value
