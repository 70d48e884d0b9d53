"""Files stored by content: archives that were handed in, and feedback pages. They stay until a person is erased."""

import hashlib
import os
import tempfile
from pathlib import Path

from studium_graders.course.private_files import private_folder


class Blobs:
    """A folder of files, each named by the SHA-256 of its contents."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, content: bytes) -> str:
        """Store bytes and return their name, once they are on disk and safe from a loss of power."""
        name = hashlib.sha256(content).hexdigest()
        path = self.path(name)
        if path.is_file() and path.stat().st_size == len(content):
            return name
        private_folder(path.parent)
        descriptor, staged = tempfile.mkstemp(dir=path.parent, prefix=".")
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(staged).replace(path)
        _sync(path.parent)
        return name

    def get(self, name: str) -> bytes:
        """Return the bytes for a name that ``put`` returned."""
        return self.path(name).read_bytes()

    def remove(self, name: str) -> None:
        """Remove the bytes for a name, if they are still there."""
        self.path(name).unlink(missing_ok=True)

    def path(self, name: str) -> Path:
        """Return where the bytes for a name are stored."""
        return self._folder / name[:2] / name


def _sync(folder: Path) -> None:
    """Have the names in a folder written to disk, if the system can do that."""
    if hasattr(os, "O_DIRECTORY"):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
