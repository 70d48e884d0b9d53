"""The names of the files that we or nbgrader write into a student's folder: nobody else may use them there."""

TIMESTAMP, SECRET = "timestamp.txt", "submission_secret.txt"


def is_reserved(path: str) -> bool:
    """Return whether a relative path begins with such a name, as a file or as a folder, in any letter case.

    Some file systems do not tell the cases apart. Further down, in a folder, the name means nothing.
    """
    return path.partition("/")[0].casefold() in (TIMESTAMP, SECRET)
