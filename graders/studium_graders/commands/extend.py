"""``studium extend``: give one student a later due date."""

from pathlib import Path
from typing import Annotated

import typer

from studium_graders.commands.extra import require_grade_extra, settings_errors


def extend(
    student: Annotated[str, typer.Argument(help="The student's id.")],
    name: Annotated[str, typer.Argument(help="The assignment's name.")],
    until: Annotated[
        str,
        typer.Option(help="Date and time, such as 2026-12-15T12:00, in the course's time zone unless one is given."),
    ],
    reason: Annotated[str, typer.Option(help="The reason, which is written into course.toml.")] = "",
    course: Annotated[Path, typer.Option(help="The course folder.")] = Path(),
) -> None:
    """Give one student a later due date. It is written into course.toml and applies from the next grading on."""
    require_grade_extra("nbgrader")
    from studium_graders.grading.late.extensions import extend as write
    from studium_graders.grading.late.extensions import until_of

    with settings_errors(course):
        done = write(course, student, name, until_of(until), reason)
    typer.echo(f"{student} now has until {done.until:%Y-%m-%d %H:%M %Z} for {name}, due {done.due:%Y-%m-%d %H:%M %Z}")
    if done.unknown:
        typer.echo(f"this student is not in the gradebook yet: {done.unknown}")
    typer.echo(f"run studium grade {name} (again) to update the late penalty")
