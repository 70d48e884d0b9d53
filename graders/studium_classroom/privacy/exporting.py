"""Write everything held about a person into one file."""

import tempfile
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from studium.errors import UsageError
from studium_graders.course.private_files import private_file

from studium_classroom.privacy.person import Holdings
from studium_classroom.privacy.place import as_json

MANIFEST = "manifest.json"


class Described(msgspec.Struct, frozen=True):
    """One file of an export, and what it is."""

    path: str
    what: str


class Manifest(msgspec.Struct, frozen=True):
    """Whose data an export has, from which course, when it was made, and what each file is."""

    student: str
    course: str
    made: datetime
    files: list[Described]


def export_person(held: Holdings, person: str, target: Path) -> Manifest:
    """Write the ZIP archive ``target``, completely or not at all; only its owner can read it.

    Raise UsageError if the file exists.
    """
    if target.exists():
        raise UsageError(f"an export must be a new file: {target} already exists; choose another one with --into")
    files: dict[str, Described] = {}
    with tempfile.TemporaryDirectory(dir=target.absolute().parent, prefix=".export-") as made:
        staged = private_file(Path(made, "export.zip"))
        with zipfile.ZipFile(staged, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False) as written:
            for item in (item for place in held.places for item in place.items(person)):
                if item.path in files:
                    continue
                files[item.path] = Described(item.path, item.what)
                if isinstance(item.content, Path):
                    written.write(item.content, item.path)
                else:
                    written.writestr(item.path, item.content)
            manifest = Manifest(person, held.course, datetime.now(UTC), list(files.values()))
            written.writestr(MANIFEST, as_json(manifest))
        staged.replace(target)
    return manifest
