"""Progress in one file, to be carried to another machine and merged there.

The file is JSON: format, version, a checksum, and the entries. Merging adds the entries that are not known yet; so it
may be done twice and in any order. A file that is damaged, or too new, or no such file, is refused whole.
"""

import hashlib
import time
from typing import Annotated, TypeVar

import msgspec

from studium.desk.journal import Journal
from studium.desk.records import Entry
from studium.errors import StudiumError

FORMAT, VERSION = "studium-progress", 1
LARGEST = 64 << 20  # bytes
_AHEAD_MS = 24 * 3600 * 1000  # clocks differ, by a day at most

T = TypeVar("T")


class ProgressFileError(StudiumError):
    """A progress file that cannot be used."""


class Merged(msgspec.Struct, frozen=True):
    """How many entries were new, and how many were known."""

    added: int
    known: int


class _File(msgspec.Struct, forbid_unknown_fields=True):
    format: str
    version: int
    sha256: Annotated[str, msgspec.Meta(max_length=64)]
    entries: list[Entry]


class _Head(msgspec.Struct):
    format: str = ""
    version: int = 0


# Made here and not in threads: where two make what decodes a type at the same time, msgspec ends the process.
_heads, _files = msgspec.json.Decoder(_Head), msgspec.json.Decoder(_File)


def export_progress(journal: Journal) -> bytes:
    """Return the progress file of a workspace."""
    entries = journal.store.entries(journal.workspace)
    return msgspec.json.encode(_File(FORMAT, VERSION, _checksum(entries), entries))


def import_progress(journal: Journal, content: bytes) -> Merged:
    """Merge a progress file into a workspace; raise ProgressFileError, and change nothing, where it is not sound."""
    entries = read_progress(content)
    added = journal.store.add(journal.workspace, entries)
    return Merged(added, len(entries) - added)


def read_progress(content: bytes) -> list[Entry]:
    """Return the entries of a progress file; raise ProgressFileError where it is not sound."""
    if len(content) > LARGEST:
        raise ProgressFileError(f"a progress file has {LARGEST >> 20} MB at most: this one is larger; export it again")
    head = _decoded(content, _heads)
    if head.format != FORMAT:
        raise ProgressFileError("a progress file is needed: this is none; make one with `studium progress --export`")
    if head.version != VERSION:
        raise ProgressFileError(f"this progress file has version {head.version}, {VERSION} is known; update Studium")
    file = _decoded(content, _files)
    entries = file.entries
    if _checksum(entries) != file.sha256:
        raise ProgressFileError("this progress file was damaged on its way: its checksum is wrong; export it again")
    latest = time.time_ns() // 1_000_000 + _AHEAD_MS
    if any(entry.time > latest for entry in entries):
        raise ProgressFileError("this progress file has entries of the future; set the clock right, then try again")
    return entries


def _checksum(entries: list[Entry]) -> str:
    """Return the checksum of entries, however a program on the way has written their JSON."""
    return hashlib.sha256(msgspec.json.encode(entries)).hexdigest()


def _decoded(content: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    try:
        return decoder.decode(content)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise ProgressFileError(f"this is no sound progress file: {error}; export it again") from None
