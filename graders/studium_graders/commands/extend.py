"""``studium extend``: a due date of one student's own."""

from pathlib import Path
from typing import Annotated

import typer

from studium_graders.commands.extra import require_grade_extra, settings_errors


def extend(
    student: Annotated[str, typer.Argument(help="The student's id.")],
    name: Annotated[str, typer.Argument(help="The assignment's name.")],
    until: Annotated[
        str, typer.Option(help="Date and time, such as 2026-12-15T12:00, in the course's time zone if none is named.")
    ],
    reason: Annotated[str, typer.Option(help="Why; it stands in course.toml.")] = "",
    course: Annotated[Path, typer.Option(help="The course folder.")] = Path(),
) -> None:
    """Extend the due date of an assignment for one student; course.toml keeps it, and the next grading applies it."""
    require_grade_extra("nbgrader")
    from studium_graders.extending import extend as write
    from studium_graders.extending import until_of

    with settings_errors(course):
        done = write(course, student, name, until_of(until), reason)
    typer.echo(f"{student} has until {done.until:%Y-%m-%d %H:%M %Z} for {name}, due {done.due:%Y-%m-%d %H:%M %Z}")
    if done.unknown:
        typer.echo(f"the gradebook does not know this student yet: {done.unknown}")
    typer.echo(f"run studium grade {name} (again) for the late penalty")
