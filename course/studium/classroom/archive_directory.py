"""Count an archive's entries before zipfile parses them: a million names would cost half a gigabyte."""

import struct
import zipfile

_END = struct.Struct("<4s8xL4xH")  # the record at the end: its signature, the directory's size, the comment's length
_ENTRY = struct.Struct("<28x3H12x")  # an entry of the directory: the lengths of its name, extra field and comment
_END_MARK, _ZIP64_MARK = b"PK\5\6", b"PK\6\7"
_ZIP64_LOCATOR = 20  # bytes before the record, if the archive has one
_MOST_COMMENT = 1 << 16
_LONGEST_ENTRY = 2 << 10  # bytes: a path has at most 8 names of 200 bytes


def entries_of(archive: bytes, most: int) -> int:
    """Return how many entries the directory has, or ``most + 1`` if there are more or they are too large.

    The number in the archive's own record is not trusted: the directory is walked as zipfile does, but no further than
    that. Raise BadZipFile for ZIP64, whose second record may contradict the first.
    """
    end = _end_of_directory(archive)
    if archive[end - _ZIP64_LOCATOR : end].startswith(_ZIP64_MARK):
        raise zipfile.BadZipFile("it has the records of ZIP64, which an archive of 64 MB does not need")
    _, size, _ = _END.unpack_from(archive, end)
    if size > most * _LONGEST_ENTRY:
        return most + 1
    place, found = end - size, 0
    while 0 <= place < end and found <= most:
        place += _ENTRY.size + sum(_ENTRY.unpack_from(archive, place))
        found += 1
    return found


def _end_of_directory(archive: bytes) -> int:
    """Return where the record at the end begins, searching as zipfile does. Raise BadZipFile."""
    end = len(archive) - _END.size
    if end >= 0 and archive[end:].startswith(_END_MARK) and archive.endswith(b"\0\0"):
        return end
    end = archive.rfind(_END_MARK, max(0, end - _MOST_COMMENT))
    if not 0 <= end <= len(archive) - _END.size:
        raise zipfile.BadZipFile("File is not a zip file")
    return end
