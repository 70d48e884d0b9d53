"""``studium accommodations``: students who get more time in every assignment of a term."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from studium_graders.commands.extra import require_grade_extra, settings_errors

if TYPE_CHECKING:
    from studium_graders.course.course_file import Course

Folder = Annotated[Path, typer.Option("--course", help="The course folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def accommodations(
    ctx: typer.Context,
    from_csv: Annotated[
        Path | None, typer.Option(help="A CSV file with the columns student and extra, such as '+25 %' or '+2 days'.")
    ] = None,
    course: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """List students who get more time in every assignment of a term, after adding those in a file.

    Students who are not in the file keep what they have. The list is accommodations.csv in the course folder. It
    applies from the next grading on. Percentages are of the time between an assignment's opens and its due date.
    """
    if ctx.invoked_subcommand:
        return
    require_grade_extra("nbgrader")
    from studium_graders.course.accommodations import read_csv
    from studium_graders.course.course_file import read_course
    from studium_graders.grading.late.accommodating import add

    with settings_errors(course):
        found = add(course, read_csv(from_csv)) if from_csv else read_course(course)
    _show(found, as_json=as_json)


def set_(
    student: Annotated[str, typer.Argument(help="The student's id.")],
    extra: Annotated[str, typer.Argument(help="How much more time: '+25 %', '+2 days', '+12 hours', '+90 minutes'.")],
    course: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """Give one student more time in every assignment of the term, or change how much."""
    require_grade_extra("nbgrader")
    from studium_graders.course.amounts import Amount
    from studium_graders.grading.late.accommodating import add
    from studium_graders.grading.late.extensions import unknown_student

    with settings_errors(course):
        found = add(course, {student: Amount.read(extra)})
        unknown = unknown_student(course, student)
    _show(found, as_json=as_json)
    if unknown:
        typer.echo(f"studium: this student is not in the gradebook yet: {unknown}", err=True)


def list_(course: Folder = Path(), as_json: AsJson = False) -> None:
    """List students who get more time in the whole term."""
    require_grade_extra("nbgrader")
    from studium_graders.course.course_file import read_course

    with settings_errors(course):
        found = read_course(course)
    _show(found, as_json=as_json)


def remove(
    student: Annotated[str, typer.Argument(help="The student's id.")],
    course: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """Remove a student from the list. Due dates that are in the gradebook already stay as they are.

    To take these back too, set '+0 days' and grade again before you remove the student.
    """
    require_grade_extra("nbgrader")
    from studium_graders.grading.late.accommodating import remove as take_out

    with settings_errors(course):
        found = take_out(course, student)
    _show(found, as_json=as_json)


def _show(course: "Course", *, as_json: bool) -> None:
    from studium.cli.output import print_json, print_table

    from studium_graders.grading.late.accommodating import without_effect

    rows = [(student, str(amount)) for student, amount in sorted(course.accommodations.items())]
    if as_json:
        print_json([{"student": student, "extra": extra} for student, extra in rows])
    elif rows:
        print_table(("student", "extra"), rows)
    else:
        typer.echo("no student has more time for the whole term")
    if note := without_effect(course):
        typer.echo(f"studium: {note}", err=True)
