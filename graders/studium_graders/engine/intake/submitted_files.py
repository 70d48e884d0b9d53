"""Reading a submission's folder: regular files alone, nothing followed, bounded in number, depth and size."""

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import msgspec

from studium_graders.engine.intake.reserved_names import SECRET, TIMESTAMP, is_reserved
from studium_graders.engine.intake.submitted_notebook import MOST_BYTES

MOST_FILES = 1000
MOST_DEPTH = 8
_NOTEBOOKS_MB = 256
_MOST_NOTES = 20
_PASSED_OVER = (".ipynb_checkpoints", "__pycache__", ".git", "__MACOSX")
_NOTEBOOK = (".ipynb", ".ipynb.json", ".ipynb.txt")
_NO_FILE = (errno.ENOENT, errno.ELOOP, errno.ENXIO)  # gone, a link by now, or what nobody reads


class SubmittedFiles(msgspec.Struct):
    """What a folder holds: notebooks and other files by relative path, the text of timestamp.txt, and what was left."""

    notebooks: dict[str, bytes] = {}
    files: dict[str, bytes] = {}
    timestamp: str = ""
    notes: list[str] = []


def read_folder(folder: Path, most_mb: int) -> SubmittedFiles:
    """Read the regular files below ``folder``, ``most_mb`` of other files than notebooks.

    Never raises for what a student may have put there; OSError for a folder or a file that cannot be read.
    """
    found = SubmittedFiles()
    left = {True: _NOTEBOOKS_MB << 20, False: most_mb << 20}
    for count, (path, descriptor) in enumerate(_regular_files(folder, found.notes)):
        if count == MOST_FILES:
            _note(found.notes, f"only the first {MOST_FILES} files were read")
            os.close(descriptor)
            break
        is_notebook = path.lower().endswith(_NOTEBOOK)
        content = _read(descriptor, min(left[is_notebook], MOST_BYTES))
        if content is None:
            leave_out(found.notes, path, "it is too large")
            continue
        left[is_notebook] -= len(content)
        if path == TIMESTAMP:
            found.timestamp = content[:200].decode("utf-8", "replace").strip()
        elif is_reserved(path):
            if path != SECRET:
                leave_out(found.notes, path, "only the course writes a file or a folder of that name")
        elif is_notebook:
            found.notebooks[path] = content
        else:
            found.files[path] = content
    return found


def _regular_files(folder: Path, notes: list[str]) -> Iterator[tuple[str, int]]:
    """Return relative paths and open descriptors, in the order of names; the caller closes them."""
    top = os.fspath(folder)
    for place, folders, names, at in os.fwalk(top, follow_symlinks=False, onerror=_raise):
        inside = os.path.relpath(place, top)
        depth = 0 if inside == "." else inside.count(os.sep) + 1
        folders[:] = sorted(name for name in folders if name not in _PASSED_OVER) if depth < MOST_DEPTH else []
        for name in sorted(names):
            path = name if depth == 0 else f"{inside.replace(os.sep, '/')}/{name}"
            if why := _odd_name(path):
                leave_out(notes, path, why)
                continue
            descriptor = _open_regular(name, at)
            if descriptor is None:
                leave_out(notes, path, "it is no regular file")
                continue
            yield path, descriptor


def _open_regular(name: str, at: int) -> int | None:
    """Open a file of the folder ``at``; None for a link, a pipe or a device. Raise OSError for one that stays shut."""
    try:
        if not stat.S_ISREG(os.lstat(name, dir_fd=at).st_mode):
            return None
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=at)
    except OSError as error:
        if error.errno in _NO_FILE:
            return None
        raise
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    return None


def _read(descriptor: int, most: int) -> bytes | None:
    """Read a file and close it; None where it has more than ``most`` bytes."""
    with os.fdopen(descriptor, "rb") as file:
        content = file.read(most + 1)
    return content if len(content) <= most else None


def _raise(error: OSError) -> NoReturn:
    raise error


def _odd_name(path: str) -> str:
    """Say why a name cannot be used, or ""."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return "its name is not UTF-8"
    return "" if path.isprintable() else "its name has control characters"


def leave_out(notes: list[str], path: str, why: str) -> None:
    """Note that a file was left out."""
    _note(notes, f"{path[:80]!a} was left out: {why}")


def _note(notes: list[str], text: str) -> None:
    if len(notes) < _MOST_NOTES:
        notes.append(text)
