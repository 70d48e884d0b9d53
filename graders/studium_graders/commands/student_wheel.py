"""``studium student-wheel``: make a wheel for student machines, without what only instructors may have."""

from pathlib import Path
from typing import Annotated

import typer

from studium_graders.commands.extra import require_grade_extra


def student_wheel(
    wheel: Annotated[Path, typer.Argument(help="A built wheel of Studium or of any distribution with topics.")],
    out: Annotated[Path, typer.Option(help="The folder to write to.")] = Path(),
    no_hints: Annotated[bool, typer.Option("--no-hints", help="Leave the hints out.")] = False,
) -> None:
    """Write NAME-VERSION+student without solutions, hidden tests, misconceptions, references and graders."""
    require_grade_extra("wheel")
    from studium_graders.assignments.student_wheel import write_student_wheel

    typer.echo(write_student_wheel(wheel, out, hints=not no_hints))
