"""Which files of an archive form a student's submission: the same rule when it arrives and when it is unpacked."""

from studium.classroom.archive import unpack
from studium_graders.engine.intake.reserved_names import is_reserved


def handed_in_files(archive: bytes) -> dict[str, bytes]:
    """Return the files of an archive by relative path, without those whose names students may not use.

    They are dropped rather than refused, because an honest student's folder may have them from nbgrader. Raise
    ArchiveError if the archive cannot be unpacked.
    """
    return {path: content for path, content in unpack(archive).items() if not is_reserved(path)}
