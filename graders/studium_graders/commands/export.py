"""``studium export``: the marks of a course as a file for a sheet or for another system."""

from pathlib import Path
from typing import Annotated

import typer
from studium.catalogue import Catalogue
from studium.errors import UnknownNameError

from studium_graders.commands.extra import require_grade_extra, settings_errors


def export(
    ctx: typer.Context,
    course: Annotated[Path, typer.Option(help="The course folder.")] = Path(),
    format: Annotated[str, typer.Option(help="The format; plugins may bring more.")] = "csv",  # noqa: A002
    out: Annotated[Path | None, typer.Option(help="The file to write; COURSE/grades.FORMAT if left out.")] = None,
    assignment: Annotated[
        list[str] | None, typer.Option(help="An assignment to write, and no others; may be given again.")
    ] = None,
) -> None:
    """Write the marks of a course to a file, a row for each assignment and student."""
    require_grade_extra("nbgrader")
    from studium_graders.opening import open_course

    catalogue: Catalogue = ctx.obj
    with settings_errors(course):
        gradebook = open_course(course).db_url
    written = catalogue.manager.hook.studium_export(
        format=format,
        gradebook=gradebook,
        path=out or course / f"grades.{format}",
        assignments=tuple(assignment or ()),
    )
    if written is None:
        known = catalogue.manager.hook.studium_export_formats()
        raise UnknownNameError("format", format, (name for names in known for name in names))
    typer.echo(f"{written} is ready")
