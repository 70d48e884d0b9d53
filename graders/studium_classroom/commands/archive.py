"""``studium classroom archive`` and ``restore``: a course as one file, and back."""

import shutil
from pathlib import Path
from typing import Annotated

import typer

from studium_classroom.commands.opening import CourseId, Folder, chosen, made_of, opened, settings_of


def archive(
    into: Annotated[Path, typer.Option(help="The file to write, such as ps-2026.zip.")],
    course: Folder = Path(),
    course_id: CourseId = "",
) -> None:
    """Write a course into one file: its folder, its members, submissions, marks, feedback, checks and the log.

    The file contains no tokens and no invitations. It does contain students' work, solutions and marks, so protect it
    as you protect those.
    """
    settings = settings_of(course)
    from studium_classroom.archiving import archive_course

    with opened(settings) as classroom:
        done = archive_course(classroom, chosen(classroom, course_id), into)
    typer.echo(f"{done.course} is in {into}, {into.stat().st_size >> 10} KB; read it with: studium classroom restore")


def restore(
    file: Annotated[Path, typer.Argument(help="A course archive.")],
    into: Annotated[Path, typer.Option(help="A new folder for the course.")],
    course: Annotated[
        Path | None,
        typer.Option(help="A folder with a classroom.toml, whose server takes over the course."),
    ] = None,
) -> None:
    """Read an archive into a new course folder, with every submission. Members need new invitations."""
    if course:
        settings_of(course)  # reports what is wrong with it before anything is written
    from studium_classroom.restoring import opened_archive

    with opened_archive(file) as found:
        found.write_folder(into)
        try:
            settings = settings_of(course or into)
            classroom = made_of(settings)
            found.add_rows(classroom)
        except BaseException:
            shutil.rmtree(into)
            raise
        classroom.database.close()
    typer.echo(f"{found.manifest.course}, archived {found.manifest.archived:%Y-%m-%d %H:%M %Z}, is in {into}")
    if course and str(into.resolve()) not in map(str, settings.courses):
        typer.echo(f"add {str(into.resolve())!r} to courses in {course / 'classroom.toml'}, and start the server again")
