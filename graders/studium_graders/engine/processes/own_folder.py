"""Temporary folders of a process: removed with it, or by a later one where it was killed.

Whose process lives holds a lock in its folder, which the system lets go of whatever ends the process.
"""

import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

if sys.platform != "win32":
    import fcntl

PREFIX = "studium-"
IN_USE = ".in-use"


class OwnFolder(tempfile.TemporaryDirectory[str]):
    """A temporary folder that a later ``remove_left_behind`` knows to be dead. ``prefix`` begins with PREFIX."""

    def __init__(self, prefix: str = PREFIX) -> None:
        super().__init__(prefix=prefix, ignore_cleanup_errors=True)
        self._held = _hold(Path(self.name))

    def cleanup(self) -> None:
        """Remove the folder."""
        super().cleanup()
        if self._held is not None:
            os.close(self._held)
            self._held = None


def remove_left_behind() -> None:
    """Remove the folders of this user's dead processes on this machine; what cannot be removed stays."""
    with os.scandir(tempfile.gettempdir()) as places:
        found = [Path(place.path) for place in places if place.name.startswith(PREFIX)]
    for folder in found:
        with suppress(OSError), _held_where_dead(folder):
            _remove(folder)


def _hold(folder: Path) -> int | None:
    """Lock a new folder; None where the file system has no locks. Under its name the lock is never free."""
    if sys.platform == "win32":
        return None
    staged = folder / f"{IN_USE}.part"
    with ExitStack() as opened, suppress(OSError):
        descriptor = os.open(staged, os.O_RDWR | os.O_CREAT, 0o600)
        opened.callback(os.close, descriptor)
        os.write(descriptor, _machine())
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        staged.rename(folder / IN_USE)
        opened.pop_all()
        return descriptor
    return None


@contextmanager
def _held_where_dead(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder whose process is dead. Raise OSError for any other."""
    if sys.platform == "win32" or folder.lstat().st_uid != os.geteuid():
        raise PermissionError
    descriptor = os.open(folder / IN_USE, os.O_RDWR | os.O_NOFOLLOW)
    try:
        if os.read(descriptor, 1024) != _machine():  # locks of a shared disk may not reach another machine
            raise PermissionError
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def _machine() -> bytes:
    return socket.gethostname().encode()


def _remove(folder: Path) -> None:
    """Remove a folder, its lock last, so that another process goes on where this one is killed."""
    for where, folders, _ in os.walk(folder):
        for path in (Path(where, name) for name in folders):
            if not path.is_symlink():
                path.chmod(0o700)
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name != IN_USE:
            path.unlink()
    shutil.rmtree(folder)
