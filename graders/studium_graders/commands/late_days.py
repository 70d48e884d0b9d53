"""``studium late-days``: show how each student's late budget was spent."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from studium_graders.commands.extra import require_grade_extra, settings_errors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from studium_graders.grading.late.budget import Spent


def late_days(
    course: Annotated[Path, typer.Option(help="The course folder.")] = Path(),
    student: Annotated[str, typer.Option(help="Show only this student.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Show who has spent late days this term (late_days in course.toml), on what, and how many are left.

    The times of submissions are those in the gradebook, so grade first. Students who were never late are left out.
    """
    require_grade_extra("nbgrader")
    from studium.cli.output import print_json

    from studium_graders.course.course_file import read_course
    from studium_graders.course.finding import open_course
    from studium_graders.grading.late.budget import spend, times_of

    with settings_errors(course):
        info = read_course(course)
        times = times_of(open_course(course).db_url)
    chosen = {name: when for name, when in sorted(times.items()) if student in ("", name)}
    spent = [one for name, when in chosen.items() for one in spend(info, name, when) if one.late]
    if as_json:
        print_json(spent)
    else:
        _print(spent, info.late.late_days)


def _print(spent: "Sequence[Spent]", budget: int) -> None:
    from studium.cli.output import print_table

    days = f"{budget} late day{'' if budget == 1 else 's'} for the term"
    typer.echo(days if budget else "this course has no late days: late_days is 0")
    rows = [
        (
            one.student,
            one.assignment,
            f"{one.due:%Y-%m-%d %H:%M %Z}",
            f"{one.received.astimezone(one.due.tzinfo):%Y-%m-%d %H:%M %Z}" if one.received else "",
            *(str(days) for days in (one.late, one.spent, one.left)),
        )
        for one in spent
    ]
    if rows:
        print_table(("student", "assignment", "due", "received", "days late", "spent", "left"), rows)
    else:
        typer.echo("no submission was late")
