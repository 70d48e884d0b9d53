"""Files and folders with a class's answers, marks and work: only their owner can open them, whatever the umask."""

from pathlib import Path

FILE, FOLDER = 0o600, 0o700


def private_file(path: Path) -> Path:
    """Make an empty file that is to be filled, and return its path."""
    path.touch(FILE)
    return path


def private_folder(path: Path) -> Path:
    """Make a folder, together with those above it that are missing, and return its path."""
    if not path.parent.exists():
        private_folder(path.parent)
    path.mkdir(FOLDER, exist_ok=True)
    return path
