"""Share a course with the group of its folder, if nbgrader's ``CourseDirectory.groupshared`` says so."""

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from nbgrader.coursedir import CourseDirectory

_FOLDER, _FILE = 0o2770, 0o660  # what the group needs, as nbgrader grants it


class Sharing(msgspec.Struct, frozen=True):
    """Whether the group of the course ``root`` may read and write what is written there."""

    root: Path = Path()
    group: bool = False

    def share(self, path: Path) -> None:
        """Let the group read and write a file, or a folder with everything in it, and reach it; others' files stay as
        they are.
        """
        if self.group:
            for place in (*self._above(path), *_below(path)):
                with suppress(FileNotFoundError, PermissionError):
                    _open(place)

    def _above(self, path: Path) -> Iterator[Path]:
        return (folder for folder in path.parents if self.root in folder.parents)


ALONE = Sharing()


def sharing_of(coursedir: "CourseDirectory") -> Sharing:
    """Return what nbgrader's settings say about sharing a course."""
    return Sharing(Path(coursedir.root), coursedir.groupshared)


def _below(path: Path) -> Iterator[Path]:
    yield path
    for where, folders, names in os.walk(path):
        yield from (Path(where, name) for name in (*folders, *names))


def _open(place: Path) -> None:
    mode = place.lstat().st_mode
    wanted = _FOLDER if stat.S_ISDIR(mode) else _FILE if stat.S_ISREG(mode) else 0
    if mode & wanted != wanted:
        place.chmod(stat.S_IMODE(mode) | wanted)
