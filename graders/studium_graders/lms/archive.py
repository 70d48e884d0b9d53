"""What a system's archive of submissions contains: whose file each entry is, judging by the names the system gives.

The system writes who the student is, and students choose only what comes after that, so the first number identifies the
owner. But a name can be such that another number in it could be the student's as well. Then there is no way to tell
which is meant, and an entry that could belong to two students is assigned to neither.
"""

import re
import zipfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from studium.errors import CourseError

from studium_graders.engine.intake.reserved_names import is_reserved

MOST_OF_ENTRY = 128 << 20  # bytes, as for a notebook that is graded
MOST = 8 << 30  # bytes of all entries together

# Canvas: "How do I download all student submissions for an assignment?", community.canvaslms.com. There a person's name
# may have an underscore, which students can choose if they may change their names (lib/content_zipper.rb)
_CANVAS = re.compile(r"(?P<name>[^_]*)_(?P<late>LATE_)?(?P<key>\d+)_\d+_(?P<file>.+)")
# Moodle: folders of assign_submission_file, which end in "_" before 4.1, or files if folders are off (docs.moodle.org,
# Assignment_settings; mod/assign/feedback/file/importziplib.php). In a person's name Moodle replaces underscores by
# blanks (mod/assign/classes/downloader.php)
_MOODLE = re.compile(r"(?P<name>[^_]*)_(?P<key>\d+)_assignsubmission_file(?:_?/(?:.*/)?|_)(?P<file>[^/]+)")
PATTERNS = {"canvas": _CANVAS, "moodle": _MOODLE}
_NUMBERS = {
    "canvas": re.compile(r"_(?=(?:LATE_)?(\d+)_\d+_)"),
    "moodle": re.compile(r"_(?=(\d+)_assignsubmission_file)"),
}
_VERSION = re.compile(r"(?:-(\d+)| ?\((\d+)\))?\.ipynb$", re.IGNORECASE)


@dataclass(frozen=True)
class Entry:
    """One student's file: the system's number for the student, and the name under which it was handed in.

    ``version`` is the number that Canvas or a browser appended to the name of a notebook, 0 for none. ``is_late`` is
    set if the system's name says so: Canvas's does, Moodle's does not. ``also``: other numbers in the name that would
    be the student's if the person's name were longer.
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
    """All entries of an archive: students' files, and the names of those that are not.

    ``reserved``: only the course may write files with these names. ``unread``: not named the way the system names
    students' files. ``unusable``: the student's own part is not a valid file name.
    """

    files: list[Entry]
    reserved: list[str]
    unread: list[str]
    unusable: list[str]


def entries_of(archive: zipfile.ZipFile, system: str, notebooks: Collection[str]) -> Entries:
    """Return what is in an archive. Raise CourseError if it is too large as a whole.

    ``notebooks``: the names of the assignment's notebooks.
    """
    infos = [info for info in archive.infolist() if not info.is_dir()]
    if sum(info.file_size for info in infos) > MOST:
        raise CourseError(
            f"an archive may unpack to at most {MOST >> 30} GiB, but {archive.filename} is larger; split it"
        )
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
    """Return each number in a name, at the places where the system writes the student's."""
    return frozenset(_NUMBERS[system].findall(name))


def _others_in(found: re.Match[str], system: str) -> frozenset[str]:
    """Return the numbers except the first. A person's name has no slash, so whatever is in the student's folder has
    none.
    """
    written = found.string[found.start("key") - 1 :].partition("/")[0]
    return numbers_in(written, system) - {found["key"]}


def read_entry(archive: zipfile.ZipFile, entry: Entry) -> bytes:
    """Return the content of an entry; raise CourseError if it is damaged or too large."""
    try:
        with archive.open(entry.info) as file:
            content = file.read(MOST_OF_ENTRY + 1)
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, OSError, EOFError) as error:
        raise CourseError(f"{entry.info.filename} cannot be unpacked: {error}; download the archive again") from error
    if len(content) > MOST_OF_ENTRY:
        raise CourseError(
            f"a file may have at most {MOST_OF_ENTRY >> 20} MiB: {entry.info.filename} is larger; leave it out"
        )
    return content


def opened(path: Path) -> zipfile.ZipFile:
    """Open an archive; raise CourseError if it is not one."""
    try:
        return zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile) as error:
        raise CourseError(f"the archive must be a complete ZIP file: {path}: {error}; download it again") from error


def _safe(name: str) -> str:
    """Return the last part of a name, or "" if that is not a valid file name."""
    last = PurePosixPath(name.replace("\\", "/")).name
    return last if last.isprintable() and not last.startswith(".") and len(last.encode()) < 200 else ""


def _plain(file: str, notebooks: Collection[str]) -> tuple[str, int]:
    """Return the name of one of the assignment's notebooks without the appended number, and that number."""
    found = _VERSION.search(file)
    if file in notebooks or not found or (plain := f"{file[: found.start()]}.ipynb") not in notebooks:
        return file, 0
    return plain, int(found[1] or found[2] or 0)


def newest(entries: list[Entry]) -> Iterator[Entry]:
    """Return for each name the entry with the highest version; among equal ones, the last."""
    kept: dict[str, Entry] = {}
    for entry in entries:
        if entry.file not in kept or entry.version >= kept[entry.file].version:
            kept[entry.file] = entry
    yield from kept.values()
