"""``studium collect``: what was handed in to Canvas or Moodle, into the course folder."""

from pathlib import Path
from typing import Annotated

import typer

from studium_graders.commands.extra import require_grade_extra, settings_errors


def collect(
    name: Annotated[str, typer.Argument(help="The assignment's name.")],
    course: Annotated[Path, typer.Option(help="The course folder.")] = Path(),
    from_canvas: Annotated[Path | None, typer.Option(help="The ZIP file of Canvas: Download Submissions.")] = None,
    from_moodle: Annotated[Path | None, typer.Option(help="The ZIP file of Moodle: Download all submissions.")] = None,
    roster: Annotated[
        Path | None, typer.Option(help="The system's own export of grades, which says whose number is whose.")
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace submissions that are there already.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be collected; write nothing.")] = False,
) -> None:
    """Unpack submissions from a learning management system into submitted/STUDENT/NAME.

    Students are known by the numbers in the file names: through --roster, or where a student's id is that number. Of
    several versions of a notebook, the last is taken. Nothing is written where anything is wrong.
    """
    require_grade_extra("nbgrader")
    from studium_graders.lms.collecting import collect as collect_from

    given = {"canvas": from_canvas, "moodle": from_moodle}
    archives = [(system, path) for system, path in given.items() if path]
    if len(archives) != 1:
        raise typer.BadParameter("name one archive, with --from-canvas or with --from-moodle")
    ((system, archive),) = archives
    with settings_errors(course):
        done = collect_from(course, name, archive, system, roster, replace=replace, dry_run=dry_run)
    what = f"{len(done.taken)} submission{'' if len(done.taken) == 1 else 's'}"
    typer.echo(f"{what} {'would be collected' if dry_run else 'collected'}")
    for title, names in (
        ("there already and kept (--replace takes the new ones)", done.kept),
        ("not of this course", done.unknown),
        ("no submissions", done.others),
        ("nothing from", done.missing),
        ("late in Canvas, and not here without a timestamp.txt", done.late),
    ):
        if names:
            typer.echo(f"{title}: {', '.join(names[:20])}{f' and {len(names) - 20} more' if len(names) > 20 else ''}")
