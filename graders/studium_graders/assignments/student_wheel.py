"""A wheel for student machines, made from a built one by editing text: no code in it runs.

It leaves out the ``reference.py`` and tests of topics, the graders and the course server. A topic's exercises are
replaced by their public edition, without anything that lacks. A topic is a folder with ``lesson.py`` and either
``exercises.py`` or a folder ``exercises``; the host has both files, but is not a topic.
"""

import configparser
import io
import re
import tempfile
import zipfile
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

from studium.errors import StudiumError
from wheel.wheelfile import WheelFile  # type: ignore[import-untyped]

from studium_graders.course.public_edition import FILE, FOLDER, public_edition

_PRIVATE = ("reference.py", "test_*.py", "conftest.py", "*.pyc")
_STAFF = frozenset(("studium_graders", "studium_classroom"))
_HOST = PurePosixPath("studium")
_NAME = re.compile(r"(?P<name>[^-]+)-(?P<version>[^-]+)(?P<tags>(-\d[^-]*)?-[^-]+-[^-]+-[^-]+)\.whl")


def write_student_wheel(wheel: Path, out: Path, *, hints: bool = True) -> Path:
    """Write the student edition of ``wheel`` into the folder ``out`` in one step, and return its path.

    Raise StudiumError for a file that is not a wheel, or is damaged; ExerciseError for exercises without a public
    edition.
    """
    found = _NAME.fullmatch(wheel.name)
    if not found or not zipfile.is_zipfile(wheel):
        raise StudiumError(f"a wheel is needed, such as topic-1.0-py3-none-any.whl: got {wheel}; build one first")
    target = out / f"{found['name']}-{student_version(found['version'])}{found['tags']}.whl"
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out, prefix=".student-") as made:
        staged = Path(made) / target.name
        try:
            _write(wheel, staged, found["name"], found["version"], hints=hints)
        except (zipfile.BadZipFile, UnicodeDecodeError, configparser.Error) as error:
            why = " ".join(str(error).split())
            raise StudiumError(f"{wheel} must be a readable wheel: {why}; build it again") from error
        staged.replace(target)
    return target


def _write(wheel: Path, target: Path, name: str, version: str, *, hints: bool) -> None:
    prefix, student = f"{name}-{version}.", student_version(version)
    with zipfile.ZipFile(wheel) as source, WheelFile(target, "w", zipfile.ZIP_DEFLATED) as written:
        for entry, data in student_files(source, prefix, hints=hints):
            path = entry.filename.replace(prefix, f"{name}-{student}.", 1)
            written.writestr(_renamed(entry, path), _metadata(path, data, student))


def student_version(version: str) -> str:
    """Return the version of the student edition: 1.0+student, or 1.0+local.student."""
    return f"{version}.student" if "+" in version else f"{version}+student"


def student_files(
    source: zipfile.ZipFile, prefix: str, *, hints: bool, staff: bool = False
) -> Iterator[tuple[zipfile.ZipInfo, bytes]]:
    """Return the files that students may have, in their public edition; ``prefix`` starts the metadata's folders.

    With ``staff``, graders and course server stay.
    """
    topics = topic_folders(source.namelist())
    public = {name: text for topic in topics for name, text in _public(source, topic, hints=hints)}
    for entry in source.infolist():
        path = PurePosixPath(entry.filename)
        left_out = _is_private(path, topics) or (not staff and _STAFF.intersection(path.parts))
        if entry.is_dir() or left_out or fnmatch(entry.filename, f"{prefix}dist-info/RECORD*"):
            continue
        if any(path.is_relative_to(topic / name) for topic in topics for name in (FILE, FOLDER)):
            if path in public:
                yield entry, public[path].encode()
        else:
            yield entry, source.read(entry)


def _public(source: zipfile.ZipFile, topic: PurePosixPath, *, hints: bool) -> Iterator[tuple[PurePosixPath, str]]:
    """Return the path and the text of each public file of a topic's exercises."""
    paths = map(PurePosixPath, source.namelist())
    own = [path for path in paths if path == topic / FILE or (path.parent, path.suffix) == (topic / FOLDER, ".py")]
    sources = {path.relative_to(topic).as_posix(): source.read(str(path)).decode("utf-8") for path in own}
    for name, text in public_edition(sources, str(topic), hints=hints).items():
        yield topic / name, text


def topic_folders(names: list[str]) -> set[PurePosixPath]:
    """Return the folders of topics among the files of a wheel."""
    paths = {PurePosixPath(name) for name in names}
    holders = {place for path in paths for place in (path, *path.parents) if place.name in (FILE, FOLDER)}
    folders = {holder.parent for holder in holders} - {_HOST}
    return {folder for folder in folders if folder / "lesson.py" in paths}


def _is_private(path: PurePosixPath, topics: set[PurePosixPath]) -> bool:
    inside = any(folder in topics for folder in path.parents)
    return inside and any(fnmatch(path.name, pattern) for pattern in _PRIVATE)


def _renamed(entry: zipfile.ZipInfo, name: str) -> zipfile.ZipInfo:
    made = zipfile.ZipInfo(name, entry.date_time)
    made.external_attr, made.compress_type = entry.external_attr, zipfile.ZIP_DEFLATED
    return made


def _metadata(name: str, data: bytes, version: str) -> bytes:
    """Change the version in METADATA and remove graders and course server from the entry points.

    What the extra ``topics`` asks for is asked for by the wheel itself: it is there for the lessons.
    """
    if name.endswith(".dist-info/METADATA"):
        data = re.sub(rb"(?m)^(Requires-Dist: [^;\n]+); extra == ['\"]topics['\"]$", rb"\1", data)
        return re.sub(rb"(?m)^Version: .*$", b"Version: " + version.encode(), data, count=1)
    if name.endswith(".dist-info/entry_points.txt"):
        return _without_staff(data.decode("utf-8")).encode()
    return data


def _without_staff(text: str) -> str:
    parser = configparser.ConfigParser(delimiters=("=",), interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(text)
    for section in parser.sections():
        for name, value in parser.items(section):
            if value.split(".")[0].split(":")[0] in _STAFF:
                parser.remove_option(section, name)
    written = io.StringIO()
    parser.write(written)
    return written.getvalue()
