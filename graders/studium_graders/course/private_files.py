"""Files and folders with a class's answers, marks and work: only their owner can open them, whatever the umask."""

from pathlib import Path

FILE, FOLDER = 0o600, 0o700


def private_file(path: Path) -> Path:
    """Create an empty file to fill, and return its path."""
    path.touch(FILE)
    return path


def private_folder(path: Path) -> Path:
    """Create a folder, with any missing parents, and return its path."""
    if not path.parent.exists():
        private_folder(path.parent)
    path.mkdir(FOLDER, exist_ok=True)
    return path
