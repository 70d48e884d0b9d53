"""``studium export``: write the marks of a course to a file for a spreadsheet or another system."""

from pathlib import Path
from typing import Annotated

import typer
from studium.catalogue.catalogue import Catalogue
from studium.catalogue.exporting import ExportOptions
from studium.errors import UnknownNameError

from studium_graders.commands.extra import require_grade_extra, settings_errors


def export(
    ctx: typer.Context,
    course: Annotated[Path, typer.Option(help="The course folder.")] = Path(),
    format: Annotated[str, typer.Option(help="The format; plugins can add more.")] = "csv",  # noqa: A002
    out: Annotated[Path | None, typer.Option(help="The file to write; by default COURSE/grades.FORMAT.")] = None,
    assignment: Annotated[list[str] | None, typer.Option(help="Export only this assignment; can be repeated.")] = None,
    into: Annotated[
        Path | None, typer.Option(help="The file that Canvas or Moodle exported; a copy of it gets the marks.")
    ] = None,
    column: Annotated[
        list[str] | None, typer.Option(help="ASSIGNMENT=COLUMN, if that file uses another name for a column.")
    ] = None,
    feedback: Annotated[
        Path | None,
        typer.Option(help="Also write the feedback pages to this ZIP file, in the layout Moodle accepts."),
    ] = None,
    scale: Annotated[bool, typer.Option("--scale", help="Scale marks to the maximum in that file.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would change in it, without writing anything.")
    ] = False,
) -> None:
    """Write the marks of a course to a file, with a row for each assignment and student, or fill in a file exported by
    an LMS.

    With --format canvas or moodle, --into names the file that the system exported. The copy gets the marks and is
    otherwise the same, byte for byte. Students are matched by login, id and email address, never by name. With
    --feedback, the pages of the students whose marks are written go into an archive that Moodle accepts.
    """
    if feedback and format != "moodle":
        raise typer.BadParameter(f"--feedback needs --format moodle: got {format}")
    require_grade_extra("nbgrader", *(["nh3"] if feedback else []))
    from studium.cli.output import plain

    from studium_graders.class_list.absences import absences
    from studium_graders.course.finding import open_course
    from studium_graders.grading.unfinished import unfinished, waiting

    catalogue: Catalogue = ctx.obj
    options = ExportOptions(into, _columns(column or []), scale, dry_run, typer.echo, course, feedback)
    filled = into.with_stem(f"{into.stem}-filled") if into else course / f"grades.{format}"
    with settings_errors(course):
        directory = open_course(course)
        problems = list(unfinished(directory, assignment or ()))
        notes = list(waiting(directory, assignment or ()))
        absent = absences(directory, assignment or ()) if format == "csv" else {}
    written = catalogue.manager.hook.studium_export(
        format=format,
        gradebook=directory.db_url,
        path=out or filled,
        assignments=tuple(assignment or ()),
        options=options,
    )
    if written is None:
        known = catalogue.manager.hook.studium_export_formats()
        raise UnknownNameError("format", format, (name for names in known for name in names))
    for name, found in absent.items():
        if found.count:
            typer.echo(plain(f"{name}: {found.line}"))
    typer.echo(f"{written} was not written" if dry_run else f"{written} is ready")
    for sentence in (*notes, *problems):
        typer.echo(f"studium: {sentence}", err=True)
    if problems:
        raise typer.Exit(1)


def _columns(given: list[str]) -> dict[str, str]:
    """Return the column of each assignment, from "ps1=Problem set 1"."""
    for text in given:
        if "=" not in text:
            raise typer.BadParameter(
                f"--column is written ASSIGNMENT=COLUMN, such as ps1='Problem set 1': got {text!r}"
            )
    return dict(text.split("=", 1) for text in given)
