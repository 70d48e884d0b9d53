"""``studium history``: list the attempts that were graded, and the points of each."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from studium_graders.commands.extra import require_grade_extra, settings_errors

if TYPE_CHECKING:
    from collections.abc import Sequence
    from zoneinfo import ZoneInfo

    from studium_graders.results.history import Attempt


def history(
    name: Annotated[str, typer.Argument(help="The assignment's name; by default all assignments.")] = "",
    course: Annotated[Path, typer.Option(help="The course folder.")] = Path(),
    student: Annotated[str, typer.Option(help="Show only this student.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Show every submission that was graded: attempt, time, content, and the points recorded for it each time.

    These are the points of the tests, before marks by hand and late penalties. The history is kept in history.db next
    to the gradebook. Submissions that a student replaced before they were graded are missing. With --json, the times of
    recording are shown too.
    """
    require_grade_extra("nbgrader")
    from studium.cli.output import print_json

    from studium_graders.course.finding import open_course
    from studium_graders.grading.late.budget import course_zone
    from studium_graders.results.history import read_attempts

    with settings_errors(course):
        root = Path(open_course(course).root)
        attempts = read_attempts(root, name, student)
        zone = course_zone(root)
    if as_json:
        print_json(attempts)
    elif attempts:
        _print(attempts, zone)
    else:
        typer.echo("the history is empty; studium grade adds each submission that it records")


def _print(attempts: "Sequence[Attempt]", zone: "ZoneInfo") -> None:
    from studium.cli.output import print_table

    rows = []
    for one in attempts:
        received = f"{one.received.astimezone(zone):%Y-%m-%d %H:%M %Z}" if one.received else "no time"
        where = (f"{one.assignment} #{one.attempt}", one.student, received)
        for result in one.results:
            rows.append((*where, f"{result.score:g} of {result.max_score:g}", result.verdict, one.sha256[:7]))
            where = ("", "", "")
    print_table(("attempt", "student", "received", "points", "verdict", "sha256"), rows)
