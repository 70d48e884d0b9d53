"""``studium classroom status``: show what was handed in for an assignment, and where it stands."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from studium_classroom.commands.opening import CourseId, Folder, chosen, opened, settings_of

if TYPE_CHECKING:
    from studium_classroom.status import Need, Row

_WORDS: dict["Need", str] = {
    "stuck": "stuck",
    "not graded": "could not be graded",
    "to mark": "to mark by hand",
    "regrade": "ask for a regrade",
    "would change": "marks would change",
    "waiting": "wait for a mark",
    "late": "late",
}


def status(
    name: Annotated[str, typer.Argument(help="The assignment's name.")],
    course: Folder = Path(),
    course_id: CourseId = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Show each student's state, mark and the exercises where they keep making the same mistake.

    --json has more: what each student needs, where they stand in each exercise, and the mistakes by exercise.
    """
    settings = settings_of(course)
    from studium.cli.output import plain, print_json, print_table

    from studium_classroom.roles import Person, Place, Role

    with opened(settings) as classroom:
        chosen_id = chosen(classroom, course_id)
        operator = Person("", {chosen_id: Place(Role.OWNER)})
        found = classroom.status(classroom.courses[chosen_id], operator, name)
    if as_json:
        print_json(found)
        return
    rows = [(row.student, row.section, row.state, str(row.attempts), _mark(row), _stuck(row)) for row in found.students]
    print_table(("student", "section", "state", "attempts", "mark", "stuck on"), rows)
    typer.echo(f"{sum(row.attempts > 0 for row in found.students)} of {len(rows)} have handed in")
    if not rows:
        typer.echo(
            f"nobody is known in {settings.data} yet: import the class list with studium classroom roster --import,"
        )
        typer.echo("or name the folder of the server's own classroom.toml with --course")
    if found.queue:
        typer.echo(", ".join(f"{count} {_WORDS[need]}" for need, count in found.queue.items()))
    for row in found.students:
        if "not graded" in row.needs:
            typer.echo(f"{row.student} could not be graded: {plain(row.sentence)}")


def _mark(row: "Row") -> str:
    late = " (late)" if row.late else ""
    return f"{row.score:g} of {row.max_score:g}{late}" if row.score is not None else late.strip()


def _stuck(row: "Row") -> str:
    return ", ".join(one.exercise for one in row.exercises if one.state == "stuck")
