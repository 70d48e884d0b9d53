"""What the course server's commands share: its folder, its extra, its database, and the course that is meant."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from studium.errors import StudiumError, UsageError

if TYPE_CHECKING:
    from studium_classroom.classroom import Classroom
    from studium_classroom.settings import Settings

Folder = Annotated[Path, typer.Option("--course", help="The course folder, or one with a classroom.toml.")]
HereFolder = Annotated[
    Path | None,
    typer.Option("--course", help="On the server's machine: the course folder, or a folder with a classroom.toml."),
]
CourseId = Annotated[str, typer.Option("--id", help="The course id, needed if the server has several courses.")]


def settings_of(folder: Path) -> "Settings":
    """Read a server's settings. Raise StudiumError if the extra is not installed."""
    if missing := next(
        (name for name in ("nbgrader", "sqlalchemy", "nh3", "tomlkit") if find_spec(name) is None), None
    ):
        raise StudiumError(
            f"this command needs {missing}, which is not installed; run: pip install 'studium[classroom]'"
        )
    from studium_classroom.settings import read_settings

    return read_settings(folder)


def made_of(settings: "Settings") -> "Classroom":
    """Return the classroom with these settings; nothing happens until it is started.

    If a course has been kept for too long, this prints a line about it.
    """
    from studium_graders.commands.extra import tell_if_kept_too_long

    from studium_classroom.classroom import Classroom
    from studium_classroom.grading_line import Terms

    terms = Terms(settings.executor, settings.scheduler, settings.trust_submissions)
    roots = list(map(Path, settings.courses))
    for root in roots:
        tell_if_kept_too_long(root)
    return Classroom(roots, Path(settings.data), settings.database, terms)


@contextmanager
def opened(settings: "Settings") -> Iterator["Classroom"]:
    """Open the classroom alongside the server, which may be running."""
    classroom = made_of(settings)
    try:
        yield classroom
    finally:
        classroom.database.close()


def chosen(classroom: "Classroom", course: str) -> str:
    """Return the id of the course that is meant. Raise UsageError if there is none, or if there are several."""
    if course:
        return classroom.courses[course].id
    ids = [one.id for one in classroom.courses]
    if len(ids) > 1:
        raise UsageError(f"the server has several courses: {', '.join(ids)}; name one with --id")
    return ids[0]
