"""A working folder that two processes have alike: what has changed in one of them, for the other one."""

import os
import stat
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import PurePosixPath

from studium_graders.engine.remote.wire import TooLargeError

Changes = dict[str, bytes | None]
"""New contents by name. A folder's name ends with a slash; None stands for what is gone."""

MOST_FILES = 5000
_SETTLED = 1_000_000_000  # ns since a file was written, after which a further change has another time


class Folder:
    """The files in the folder ``root``, and what the other process knows of them.

    ``kept`` are names that the other process has from elsewhere, and is told nothing of. Links are not seen.
    """

    def __init__(self, root: str, most: int, kept: Collection[str] = ()) -> None:
        self.root = root
        self._most = most
        self._kept = frozenset(kept)
        self.known: dict[str, bytes] = {}
        self._stamps: dict[str, tuple[int, ...]] = {}

    def changes(self) -> Changes:
        """Give what is not as the other process knows it; from now on it is taken to know."""
        now = dict(self._read())
        changes = difference(self.known, now)
        self.known = now
        return changes

    def take(self, changes: Changes) -> None:
        """Make the changes of the other process here."""
        self.make(changes)
        for name, content in changes.items():
            if content is None:
                self.known.pop(name, None)
            else:
                self.known[name] = content

    def make(self, changes: Changes) -> None:
        """Make changes; names that lead outside, or cannot be here, are left out."""
        for name, content in sorted(changes.items(), key=_removals_first):
            if is_inside(name):
                with suppress(OSError):
                    _make(os.path.join(self.root, name), content)  # noqa: PTH118  pathlib is slow here

    def _read(self) -> Iterator[tuple[str, bytes]]:
        left, names = self._most, 0
        for path, folders, files in os.walk(self.root):
            inner = os.path.relpath(path, self.root).replace(os.sep, "/")
            place = "" if inner == "." else f"{inner}/"
            yield from ((f"{place}{name}/", b"") for name in folders if not os.path.islink(f"{path}/{name}"))  # noqa: PTH114
            for name in files:
                content = None if place + name in self._kept else self._content(path, place, name, left)
                if content is not None:
                    left -= len(content)
                    yield place + name, content
            names += len(folders) + len(files)
            if left < 0 or names > MOST_FILES:
                raise TooLargeError(
                    f"a test of files needs them in two processes, and the folder has more than {self._most >> 20} MB "
                    f"or {MOST_FILES} names; write fewer files"
                )

    def _content(self, path: str, place: str, name: str, most: int) -> bytes | None:
        """Give a file's contents, more than ``most`` bytes not whole; None where there is no file to be read."""
        try:
            found = os.lstat(f"{path}/{name}")
            if not stat.S_ISREG(found.st_mode):
                return None
            stamp = (found.st_ino, found.st_size, found.st_mtime_ns)
            if self._stamps.get(place + name) == stamp and place + name in self.known:
                return self.known[place + name]
            if time.time_ns() - found.st_mtime_ns > _SETTLED:
                self._stamps[place + name] = stamp
            with open(f"{path}/{name}", "rb") as file:  # noqa: PTH123
                return file.read(max(most, 0) + 1)
        except OSError:
            return None


def difference(before: dict[str, bytes], after: dict[str, bytes]) -> Changes:
    """Give what makes ``after`` of ``before``."""
    gone: Changes = dict.fromkeys(before.keys() - after.keys())
    return gone | {name: content for name, content in after.items() if before.get(name) != content}


def is_inside(name: str) -> bool:
    """Tell whether a name stays in the folder, and is the only one of what it names."""
    path = PurePosixPath(name)
    alone = str(path) == name.removesuffix("/")
    return bool(path.parts) and alone and not path.is_absolute() and ".." not in path.parts and "\0" not in name


def _removals_first(change: tuple[str, bytes | None]) -> tuple[bool, int, str]:
    name, content = change
    depth = name.rstrip("/").count("/")
    return content is not None, depth if content is not None else -depth, name


def _make(path: str, content: bytes | None) -> None:
    if content is not None:
        os.makedirs(path if path.endswith("/") else os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120
        if not path.endswith("/"):
            with open(path, "wb") as file:  # noqa: PTH123
                file.write(content)
    elif path.endswith("/"):
        os.rmdir(path)  # noqa: PTH106
    else:
        os.unlink(path)  # noqa: PTH108
