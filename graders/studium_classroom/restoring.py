"""Read an archive of a course: its folder becomes a new one, its submissions go into a server's database."""

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
from studium_graders.course.private_files import private_file, private_folder

from studium_classroom.archiving import BLOBS, FILES, FORMAT, KINDS, MANIFEST, ROWS, Manifest, table_name
from studium_classroom.classroom import Classroom
from studium_classroom.schema import VERSION, Base, BoardPass, InvitationRow, MarkingPass, Moment, Submission


class Archive:
    """An opened archive; ``manifest`` describes its contents."""

    def __init__(self, opened: zipfile.ZipFile) -> None:
        self._opened = opened
        self.manifest = msgspec.json.decode(opened.read(MANIFEST), type=Manifest)
        if (self.manifest.format, self.manifest.version) != (FORMAT, VERSION):
            raise UsageError(
                f"the archive has format {self.manifest.format} with tables of version {self.manifest.version}, but "
                f"{FORMAT} with {VERSION} is needed; read it with the version of Studium that wrote it"
            )

    def write_folder(self, target: Path) -> None:
        """Write the course's folder in one step, for its owner only. Raise UsageError if it already has files."""
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise UsageError(
                f"a course must be read into a new folder: {target} already exists; name another with --into"
            )
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.absolute().parent, prefix=".restored-") as made:
            staged = Path(made, "course").resolve()
            private_folder(staged)
            for entry, path in self._inside(FILES):
                place = (staged / path).resolve()
                if not place.is_relative_to(staged):
                    raise UsageError(
                        f"an archive must contain the files of a single folder: {path[:80]!a} leads out of it"
                    )
                private_folder(place.parent)
                with self._opened.open(entry) as source, private_file(place).open("wb") as written:
                    shutil.copyfileobj(source, written)
            if target.exists():
                target.rmdir()
            staged.rename(target)

    def add_rows(self, classroom: Classroom) -> None:
        """Put submissions and their results into a server. Raise UsageError if it already has some.

        Rows get new numbers, because the database may contain other courses.
        """
        rows = msgspec.json.decode(self._opened.read(ROWS), type=dict[str, list[dict[str, Any]]])
        for entry, name in self._inside(BLOBS):
            content = self._opened.read(entry)
            if hashlib.sha256(content).hexdigest() != name:
                raise UsageError(f"the archive is damaged: {name[:64]!a} has changed; use another copy")
            classroom.blobs.put(content)
        course = self.manifest.course
        with classroom.database.writing() as session:
            if session.scalar(select(Submission.id).where(Submission.course == course).limit(1)):
                raise UsageError(f"this server already has submissions of {course}; choose another with --course")
            for given in (BoardPass, MarkingPass, InvitationRow):  # issued for places that have changed
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
    """Open an archive. Raise UsageError if the file is not one, or is damaged."""
    try:
        with zipfile.ZipFile(file) as opened:
            yield Archive(opened)
    except (OSError, KeyError, zipfile.BadZipFile, msgspec.MsgspecError) as error:
        raise UsageError(f"{file} cannot be read as the archive of a course: {error}; use another copy") from error


def _add(session: Session, kind: type[Base], row: dict[str, Any], numbers: dict[int, int]) -> None:
    """Add a row; ``numbers`` maps old numbers of submissions to new ones."""
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
