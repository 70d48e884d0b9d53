"""``studium collect``: unpack what was handed in to Canvas or Moodle into the course folder."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from studium_graders.commands.extra import require_grade_extra, settings_errors

if TYPE_CHECKING:
    from studium_graders.lms.collecting import Collected


def collect(
    name: Annotated[str, typer.Argument(help="The assignment's name.")],
    course: Annotated[Path, typer.Option(help="The course folder.")] = Path(),
    from_canvas: Annotated[
        Path | None, typer.Option(help="The ZIP file that Canvas makes: Download Submissions.")
    ] = None,
    from_moodle: Annotated[
        Path | None, typer.Option(help="The ZIP file that Moodle makes: Download all submissions.")
    ] = None,
    roster: Annotated[
        Path | None, typer.Option(help="The system's own grade export, used to look up whose number is whose.")
    ] = None,
    times: Annotated[
        Path | None,
        typer.Option(help="A CSV file of when students handed in, such as Moodle's grading worksheet."),
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace submissions that are already there.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be collected, without writing anything.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Unpack submissions from a learning management system into submitted/STUDENT/NAME.

    Students are found by the numbers in the file names: through --roster, through the class list that studium roster
    took from Canvas, or if a student's id is that number. If a notebook has several versions, the last one is taken. A
    file that could belong to two students goes to neither and is listed. With --times, each submission that has no
    timestamp.txt gets one. If anything is wrong, nothing is written.
    """
    require_grade_extra("nbgrader")
    from studium.cli.output import print_json

    from studium_graders.lms.collecting import collect as collect_from

    given = {"canvas": from_canvas, "moodle": from_moodle}
    archives = [(system, path) for system, path in given.items() if path]
    if len(archives) != 1:
        raise typer.BadParameter("name one archive, with either --from-canvas or --from-moodle")
    ((system, archive),) = archives
    with settings_errors(course):
        done = collect_from(course, name, archive, system, roster, times, replace=replace, dry_run=dry_run)
    if as_json:
        print_json(done)
    else:
        _print(done, dry_run=dry_run)


def _print(done: "Collected", *, dry_run: bool) -> None:
    what = f"{len(done.taken)} submission{'' if len(done.taken) == 1 else 's'}"
    typer.echo(f"{what} {'would be collected' if dry_run else 'collected'}")
    for title, names in (
        ("already there and kept (--replace takes the new ones)", done.kept),
        ("left out, since only the course may write files with these names", done.reserved),
        ("not of this course", done.unknown),
        ("no submissions", done.others),
        ("nothing from", done.missing),
        (f"timestamp.txt {'would be written' if dry_run else 'written'} for", done.timed),
        ("late in Canvas, but not here, since there is no timestamp.txt", done.late),
    ):
        if names:
            shown = f"{', '.join(names[:20])}{f' and {len(names) - 20} more' if len(names) > 20 else ''}"
            _say(f"{title}: {shown}")
    if done.unclear:
        typer.echo(f"not collected, since the file name does not show for certain whose it is: {len(done.unclear)}")
        typer.echo("open each of these files, and move it into the right student's folder yourself:")
    for entry in done.unclear:
        _say(f"  {entry.name} (perhaps of {' or of '.join(entry.students)})")


def _say(line: str) -> None:
    """Print a line that contains names chosen by students, so that it stays one line and cannot steer the terminal."""
    from studium.cli.output import plain

    typer.echo(plain(line).replace("\n", "\\n"))
