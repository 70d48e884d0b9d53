"""Pack folders into ZIP archives and back. The same files give the same bytes; unpacking untrusted archives is safe."""

import io
import os
import stat
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath

from studium.classroom.archive_directory import entries_of
from studium.errors import StudiumError

MOST_ARCHIVE = 64 << 20  # bytes of an archive
MOST_UNPACKED = 256 << 20  # bytes of all files together
MOST_FILES, MOST_DEPTH, MOST_NAME = 1000, 8, 200
MOST_ENTRIES = 2 * MOST_FILES  # folders have entries too
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a ZIP archive can store
_PASSED_OVER = ("__pycache__", "node_modules")
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # zipfile unpacks others all at once, however much comes out
_BAD = frozenset('\\:*?"<>|')  # forbidden in file names on some system


class ArchiveError(StudiumError):
    """An archive, or a folder to be packed, that cannot be used."""


def pack(files: Mapping[str, bytes]) -> bytes:
    """Return an archive of files by relative path. Raise ArchiveError if they are too many or too large."""
    if len(files) > MOST_FILES:
        raise ArchiveError(f"a folder may have at most {MOST_FILES} files: got {len(files)}; move the others elsewhere")
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(files):
            entry = zipfile.ZipInfo(path, _EPOCH)
            entry.external_attr, entry.compress_type = (stat.S_IFREG | 0o644) << 16, zipfile.ZIP_DEFLATED
            archive.writestr(entry, files[path])
    packed = made.getvalue()
    if len(packed) > MOST_ARCHIVE:
        raise ArchiveError(
            f"an archive may have at most {MOST_ARCHIVE >> 20} MB: these files need {len(packed) >> 20} MB; "
            "move data and models out of the folder"
        )
    return packed


def files_of(folder: Path) -> dict[str, bytes]:
    """Return the regular files of a folder by relative path, skipping hidden files, links and caches."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(_regular(folder))}


def _regular(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in _PASSED_OVER)
        for path in (Path(place, name) for name in names if not name.startswith(".")):
            if path.is_file() and not path.is_symlink():
                yield path


def unpack(archive: bytes) -> dict[str, bytes]:
    """Return the files of an archive, which may come from anybody, by relative path.

    Raise ArchiveError, with one sentence, for anything that is not an archive, is damaged or too large, or has a path
    leading outside. The number of entries is checked first, then names and sizes, and the contents last.
    """
    try:
        if entries_of(archive, MOST_ENTRIES) > MOST_ENTRIES:
            raise ArchiveError(
                f"an archive may have at most {MOST_FILES} files: this one has many more; leave some out"
            )
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            entries = [entry for entry in opened.infolist() if not entry.is_dir()]
            _require_usable(entries)
            return dict(_read_all(opened, entries))
    except ArchiveError:
        raise
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError, ValueError) as error:
        raise ArchiveError(f"this must be a complete ZIP archive: {error}; pack and send it again") from error
    except Exception as error:  # zlib and lzma raise their own errors
        raise ArchiveError("this must be a complete ZIP archive, but it is damaged; send it again") from error


def _require_usable(entries: list[zipfile.ZipInfo]) -> None:
    if len(entries) > MOST_FILES:
        raise ArchiveError(f"an archive may have at most {MOST_FILES} files: got {len(entries)}; leave some out")
    names = [entry.filename for entry in entries]
    if len({name.casefold() for name in names}) < len(names):
        raise ArchiveError("an archive may contain each file only once: this one has a name twice; remove one")
    for entry in entries:
        if entry.orig_filename != entry.filename or (why := _odd(entry)):
            why = "its name" if entry.orig_filename != entry.filename else why
            raise ArchiveError(
                f"an archive may contain only plain files with relative paths: got {entry.filename[:80]!a} ({why})"
            )
    _require_no_folder_is_a_file(names)


def _odd(entry: zipfile.ZipInfo) -> str:
    """Return why an entry cannot be used, or ""."""
    name, kind = entry.filename, stat.S_IFMT(entry.external_attr >> 16)
    parts = PurePosixPath(name).parts
    if name.startswith("/") or any(part in ("..", ".", "") for part in name.split("/")):
        return "the path leads outside"
    if not name.isprintable() or _BAD & set(name) or any(part.startswith(".") or part[-1] in " ." for part in parts):
        return "its name"
    if len(parts) > MOST_DEPTH or max(len(part.encode()) for part in parts) > MOST_NAME:
        return "the path is too long"
    if entry.compress_type not in _METHODS:
        return "neither stored nor deflated"
    return "" if kind in (0, stat.S_IFREG) else "not a regular file"


def _require_no_folder_is_a_file(names: Iterable[str]) -> None:
    files = set(names)
    for name in files:
        if above := files.intersection(str(folder) for folder in PurePosixPath(name).parents):
            raise ArchiveError(
                f"an archive may contain only plain files with relative paths: {min(above)!a} is also a folder"
            )


def _read_all(archive: zipfile.ZipFile, entries: list[zipfile.ZipInfo]) -> Iterator[tuple[str, bytes]]:
    if sum(entry.file_size for entry in entries) > MOST_UNPACKED:
        raise ArchiveError(
            f"an archive may unpack to at most {MOST_UNPACKED >> 20} MB: this one is larger; leave some files out"
        )
    for entry in entries:
        with archive.open(entry) as file:  # which may lie about its size: no more than that is unpacked
            yield entry.filename, file.read(entry.file_size)
