"""What of an archive is a student's submission: the same at the door of the server and where it is laid out."""

from studium.classroom.archive import unpack
from studium_graders.engine.intake.reserved_names import is_reserved


def handed_in_files(archive: bytes) -> dict[str, bytes]:
    """Return the files of an archive by relative path, without those whose names are not a student's to use.

    They are left out rather than refused: the folder of an honest student may have them from nbgrader. Raise
    ArchiveError for what cannot be unpacked.
    """
    return {path: content for path, content in unpack(archive).items() if not is_reserved(path)}
