"""What a system's archive of submissions holds: whose file each entry is, by the names that the system gives.

The system writes who the student is and the student only chooses what comes behind it, so the number that comes first
says whose an entry is. But a name may be such that another number in it could be the student's as well. Which one is
meant cannot be told, and an entry that may be of two students is nobody's.
"""

import re
import zipfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from studium.errors import CourseError

from studium_graders.engine.intake.reserved_names import is_reserved

MOST_OF_ENTRY = 128 << 20  # bytes, as of a notebook that is graded
MOST = 8 << 30  # bytes of all entries together

# Canvas: "How do I download all student submissions for an assignment?", community.canvaslms.com. A person's name may
# have an underscore there, which students choose where they may change their names (lib/content_zipper.rb)
_CANVAS = re.compile(r"(?P<name>[^_]*)_(?P<late>LATE_)?(?P<key>\d+)_\d+_(?P<file>.+)")
# Moodle: folders of assign_submission_file, which end in "_" before 4.1, or files where folders are off
# (docs.moodle.org, Assignment_settings; mod/assign/feedback/file/importziplib.php). In a person's name Moodle puts
# blanks in the place of underscores (mod/assign/classes/downloader.php)
_MOODLE = re.compile(r"(?P<name>[^_]*)_(?P<key>\d+)_assignsubmission_file(?:_?/(?:.*/)?|_)(?P<file>[^/]+)")
PATTERNS = {"canvas": _CANVAS, "moodle": _MOODLE}
_NUMBERS = {
    "canvas": re.compile(r"_(?=(?:LATE_)?(\d+)_\d+_)"),
    "moodle": re.compile(r"_(?=(\d+)_assignsubmission_file)"),
}
_VERSION = re.compile(r"(?:-(\d+)| ?\((\d+)\))?\.ipynb$", re.IGNORECASE)


@dataclass(frozen=True)
class Entry:
    """One file of one student: the system's number for the student, and the name under which it was handed in.

    ``version`` counts what Canvas or a browser appended to the name of a notebook, 0 for none. ``is_late`` where the
    system's name says so: Canvas's does, Moodle's does not. ``also``: other numbers in the name that would be the
    student's if the person's name were longer.
    """

    info: zipfile.ZipInfo
    person: str
    key: str
    file: str
    version: int
    is_late: bool
    also: frozenset[str]


@dataclass(frozen=True)
class Entries:
    """All entries of an archive: students' files, and by their names those that are none.

    ``reserved``: only the course writes files of these names. ``unread``: the system does not name students' files so.
    ``unusable``: the student's own part is no name for a file.
    """

    files: list[Entry]
    reserved: list[str]
    unread: list[str]
    unusable: list[str]


def entries_of(archive: zipfile.ZipFile, system: str, notebooks: Collection[str]) -> Entries:
    """Return what is in an archive. Raise CourseError where the whole of it is too large.

    ``notebooks``: the names of the assignment's notebooks.
    """
    infos = [info for info in archive.infolist() if not info.is_dir()]
    if sum(info.file_size for info in infos) > MOST:
        raise CourseError(f"an archive unpacks to at most {MOST >> 30} GiB, {archive.filename} to more; split it")
    entries = Entries([], [], [], [])
    for info in infos:
        found = PATTERNS[system].fullmatch(info.filename)
        if not found:
            entries.unread.append(info.filename)
        elif not (file := _safe(found["file"])):
            entries.unusable.append(info.filename)
        elif is_reserved(file):
            entries.reserved.append(info.filename)
        else:
            is_late, also = bool(found.groupdict().get("late")), _others_in(found, system)
            plain = _plain(file, notebooks)
            entries.files.append(Entry(info, found["name"], found["key"], *plain, is_late, also))
    return entries


def numbers_in(name: str, system: str) -> frozenset[str]:
    """Return each number that stands in a name where the system writes the student's."""
    return frozenset(_NUMBERS[system].findall(name))


def _others_in(found: re.Match[str], system: str) -> frozenset[str]:
    """Return the numbers but the first. A person's name has no slash, so what is in the student's folder has none."""
    written = found.string[found.start("key") - 1 :].partition("/")[0]
    return numbers_in(written, system) - {found["key"]}


def read_entry(archive: zipfile.ZipFile, entry: Entry) -> bytes:
    """Return the content of an entry; raise CourseError where it is damaged or too large."""
    try:
        with archive.open(entry.info) as file:
            content = file.read(MOST_OF_ENTRY + 1)
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, OSError, EOFError) as error:
        raise CourseError(f"{entry.info.filename} cannot be unpacked: {error}; download the archive again") from error
    if len(content) > MOST_OF_ENTRY:
        raise CourseError(f"a file has at most {MOST_OF_ENTRY >> 20} MiB: {entry.info.filename} has more; leave it out")
    return content


def opened(path: Path) -> zipfile.ZipFile:
    """Open an archive; raise CourseError where it is none."""
    try:
        return zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile) as error:
        raise CourseError(
            f"the archive needs to be a ZIP file that is whole: {path}: {error}; download it again"
        ) from error


def _safe(name: str) -> str:
    """Return the last part of a name, "" where that is no name for a file."""
    last = PurePosixPath(name.replace("\\", "/")).name
    return last if last.isprintable() and not last.startswith(".") and len(last.encode()) < 200 else ""


def _plain(file: str, notebooks: Collection[str]) -> tuple[str, int]:
    """Return the name of a notebook of the assignment without the number that was appended to it, and that number."""
    found = _VERSION.search(file)
    if file in notebooks or not found or (plain := f"{file[: found.start()]}.ipynb") not in notebooks:
        return file, 0
    return plain, int(found[1] or found[2] or 0)


def newest(entries: list[Entry]) -> Iterator[Entry]:
    """Return of each name the entry of the highest version, and of equal ones the one that comes last."""
    kept: dict[str, Entry] = {}
    for entry in entries:
        if entry.file not in kept or entry.version >= kept[entry.file].version:
            kept[entry.file] = entry
    yield from kept.values()
