"""Until when a course may be kept: ``keep_until`` in course.toml. Nothing is deleted because of it."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from studium.errors import StudiumError

from studium_graders.course.course_file import FILE, read_course


def kept_too_long(root: Path) -> Iterator[str]:
    """Return a sentence if the course in a folder should be gone by now; nothing for a file that cannot be read."""
    with suppress(StudiumError, OSError):
        course = read_course(root)
        if course.keep_until and datetime.now(ZoneInfo(course.timezone)).date() > course.keep_until:
            yield (
                f"{course.id} was to be kept until {course.keep_until}, which is past: archive what you must keep and "
                f"delete the rest, or change keep_until in {root / FILE}"
            )
