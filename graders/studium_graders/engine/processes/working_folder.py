"""The working folder of a student's or a judge's process."""

import os
from contextlib import suppress
from pathlib import PurePosixPath


def write_files(files: dict[str, bytes]) -> None:
    """Write files into the working folder; a name that cannot be there, such as one below a file, is left out."""
    for name, content in files.items():
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts:
            continue
        with suppress(FileExistsError, NotADirectoryError, IsADirectoryError):
            os.makedirs(path.parent, exist_ok=True)  # noqa: PTH103  pathlib is slow here
            with open(path, "wb") as file:  # noqa: PTH123
                file.write(content)
