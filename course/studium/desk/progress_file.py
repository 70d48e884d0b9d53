"""Progress in one file, to carry to another machine and merge there.

The file is JSON: format, version, a checksum, and the entries. Merging adds the entries that are not there yet, so it
can be done twice and in any order. A file that is damaged, too new, or something else is rejected as a whole.
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
_AHEAD_MS = 24 * 3600 * 1000  # milliseconds: clocks may differ by up to a day

T = TypeVar("T")


class ProgressFileError(StudiumError):
    """A progress file that cannot be used."""


class Merged(msgspec.Struct, frozen=True):
    """How many entries were new, and how many were already there."""

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


# Created here and not in threads: if two threads build msgspec's decoder for a type at once, the process crashes.
_heads, _files = msgspec.json.Decoder(_Head), msgspec.json.Decoder(_File)


def export_progress(journal: Journal) -> bytes:
    """Return the progress file of a workspace."""
    entries = journal.store.entries(journal.workspace)
    return msgspec.json.encode(_File(FORMAT, VERSION, _checksum(entries), entries))


def import_progress(journal: Journal, content: bytes) -> Merged:
    """Merge a progress file into a workspace; if it is not valid, raise ProgressFileError and change nothing."""
    entries = read_progress(content)
    added = journal.store.add(journal.workspace, entries)
    return Merged(added, len(entries) - added)


def read_progress(content: bytes) -> list[Entry]:
    """Return the entries of a progress file; raise ProgressFileError if it is not valid."""
    if len(content) > LARGEST:
        raise ProgressFileError(
            f"a progress file may have at most {LARGEST >> 20} MB: this one is larger; export it again"
        )
    head = _decoded(content, _heads)
    if head.format != FORMAT:
        raise ProgressFileError("this is not a progress file; make one with `studium progress --export`")
    if head.version != VERSION:
        raise ProgressFileError(
            f"this progress file has version {head.version}, but only versions up to {VERSION} "
            f"are known; update Studium"
        )
    file = _decoded(content, _files)
    entries = file.entries
    if _checksum(entries) != file.sha256:
        raise ProgressFileError("this progress file was damaged in transit: its checksum is wrong; export it again")
    latest = time.time_ns() // 1_000_000 + _AHEAD_MS
    if any(entry.time > latest for entry in entries):
        raise ProgressFileError("this progress file has entries from the future; correct the clock, then try again")
    return entries


def _checksum(entries: list[Entry]) -> str:
    """Return the checksum of entries, however a program in between has formatted their JSON."""
    return hashlib.sha256(msgspec.json.encode(entries)).hexdigest()


def _decoded(content: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    try:
        return decoder.decode(content)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise ProgressFileError(f"this progress file is not valid: {error}; export it again") from None
