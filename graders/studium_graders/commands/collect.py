"""``studium collect``: what was handed in to Canvas or Moodle, into the course folder."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from studium_graders.commands.extra import require_grade_extra, settings_errors

if TYPE_CHECKING:
    from studium_graders.lms.collecting import Collected


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
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Unpack submissions from a learning management system into submitted/STUDENT/NAME.

    Students are known by the numbers in the file names: through --roster, or where a student's id is that number. Of
    several versions of a notebook, the last is taken. A file that may be of two students goes to neither and is listed.
    Nothing is written where anything is wrong.
    """
    require_grade_extra("nbgrader")
    from studium.cli.output import print_json

    from studium_graders.lms.collecting import collect as collect_from

    given = {"canvas": from_canvas, "moodle": from_moodle}
    archives = [(system, path) for system, path in given.items() if path]
    if len(archives) != 1:
        raise typer.BadParameter("name one archive, with --from-canvas or with --from-moodle")
    ((system, archive),) = archives
    with settings_errors(course):
        done = collect_from(course, name, archive, system, roster, replace=replace, dry_run=dry_run)
    if as_json:
        print_json(done)
    else:
        _print(done, dry_run=dry_run)


def _print(done: "Collected", *, dry_run: bool) -> None:
    what = f"{len(done.taken)} submission{'' if len(done.taken) == 1 else 's'}"
    typer.echo(f"{what} {'would be collected' if dry_run else 'collected'}")
    for title, names in (
        ("there already and kept (--replace takes the new ones)", done.kept),
        ("left out, since only the course writes files of these names", done.reserved),
        ("not of this course", done.unknown),
        ("no submissions", done.others),
        ("nothing from", done.missing),
        ("late in Canvas, and not here without a timestamp.txt", done.late),
    ):
        if names:
            shown = f"{', '.join(names[:20])}{f' and {len(names) - 20} more' if len(names) > 20 else ''}"
            _say(f"{title}: {shown}")
    if done.unclear:
        typer.echo(f"collected for nobody, since the name does not say for certain whose it is: {len(done.unclear)}")
        typer.echo("look into each of these files, and put it into its student's folder yourself:")
    for entry in done.unclear:
        _say(f"  {entry.name} (perhaps of {' or of '.join(entry.students)})")


def _say(line: str) -> None:
    """Print a line with names that students chose: it stays one line and steers no terminal."""
    from studium.cli.output import plain

    typer.echo(plain(line).replace("\n", "\\n"))
