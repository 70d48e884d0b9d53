"""Release an assignment remotely: its source comes in, the release is built here, and course.toml records the time."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import tomlkit
from studium.classroom.archive import ArchiveError
from studium.errors import CourseError, UsageError
from studium_graders.assignments.building import release_source
from studium_graders.course.course_file import FILE, Assignment, Course, is_usable_name, read_course
from studium_graders.results.store import write_whole


def release(root: Path, name: str, files: Mapping[str, bytes], now: datetime) -> datetime:
    """Build what students get from an assignment's source files, and return the time from which they can get it.

    That is ``opens`` in course.toml, or else ``now``, which is then written there. On StudiumError or OSError the
    course is unchanged.
    """
    if not any(path.endswith(".ipynb") and "/" not in path for path in files):
        raise ArchiveError(f"the source of {name} needs a notebook: got none; send the folder source/{name}")
    if not is_usable_name(name):
        raise UsageError(
            f"an assignment's name may have only letters, digits, hyphens, dots and underscores: got {name[:60]!a}"
        )
    course = read_course(root)
    found = next((one for one in course.assignments if one.name == name), Assignment(name))
    changed = _opened(course, name, now, root / FILE) if found.opens is None else ""
    release_source(root, found, files)
    if changed:
        write_whole(root / FILE, changed.encode(), 0o666)
    return course.zoned(found.opens or now)


def _opened(course: Course, name: str, now: datetime, path: Path) -> str:
    """Return course.toml with only ``opens`` changed for an assignment. Raise CourseError if that fails."""
    document = tomlkit.parse(path.read_text("utf-8-sig"))
    tables = document.setdefault("assignments", tomlkit.aot())
    table = next((table for table in tables if table["name"] == name), None)
    if table is None:
        table = tomlkit.table()
        table["name"] = name
        tables.append(table)
    table["opens"] = now.astimezone(ZoneInfo(course.timezone)).replace(microsecond=0)
    text = tomlkit.dumps(document)
    try:
        msgspec.toml.decode(text, type=Course)
    except msgspec.MsgspecError as error:
        raise CourseError(f"{path} could not be changed to open {name}: {error}; add opens by hand") from error
    return text
