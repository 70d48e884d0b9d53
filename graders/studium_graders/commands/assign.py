"""``studium assign``: build source/ and release/ for one assignment, as course.toml describes it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from studium.catalogue.catalogue import Catalogue

from studium_graders.commands.extra import require_grade_extra, settings_errors
from studium_graders.commands.graded_table import show_modes, show_vacuous
from studium_graders.commands.stopping import stoppable

if TYPE_CHECKING:
    from studium_graders.assignments.building import Assigned
    from studium_graders.grading.vacuous_check import Checked

_OF_A_TEST = ("notebook", "grade_id", "exercise", "name", "hidden", "max_points", "mode", "reason")


def assign(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The assignment's name in course.toml.")],
    course: Annotated[Path, typer.Option(help="The course folder.")] = Path(),
    check: Annotated[
        bool,
        typer.Option(
            "--check/--no-check", help="Say how each test is judged, and list those that a vacuous answer passes."
        ),
    ] = True,
    replace: Annotated[
        bool, typer.Option("--replace", help="Rebuild notebooks that were changed in source/, and keep a copy of them.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Build source/NAME and release/NAME and record both in the gradebook. If anything fails, nothing is changed.

    If you changed a notebook in source/NAME, it is kept and released with your changes.
    """
    require_grade_extra("nbgrader")
    from studium.cli.output import print_json

    from studium_graders.assignments.building import build_assignment
    from studium_graders.grading.vacuous_check import check_assignment

    catalogue: Catalogue = ctx.obj
    with stoppable(), settings_errors(course):
        assigned = build_assignment(course, name, catalogue, replace=replace)
        checked = check_assignment(course, name, catalogue) if check else None
    if as_json:
        print_json(_for_programs(assigned, checked))
    else:
        _print(assigned)
        if checked:
            show_modes(checked.tests)
            show_vacuous(checked.vacuous)


def _for_programs(assigned: "Assigned", checked: "Checked | None") -> dict[str, Any]:
    """Return what was built, and if the tests were looked at, how each is judged and what vacuous answers pass."""
    tests = [{name: getattr(test, name) for name in _OF_A_TEST} for test in checked.tests] if checked else None
    return msgspec.structs.asdict(assigned) | {"tests": tests, "vacuous": checked.vacuous if checked else None}


def _print(assigned: "Assigned") -> None:
    from studium.cli.output import print_table

    due = f"{assigned.due:%Y-%m-%d %H:%M %Z}" if assigned.due else "never"
    rows = [
        (book.notebook, ", ".join(book.exercises) or "your own notebook", f"{book.points:g}", due)
        for book in assigned.notebooks
    ]
    print_table(("notebook", "exercises", "points", "due"), rows)
    if kept := ", ".join(assigned.kept):
        typer.echo(f"changed in source/{assigned.assignment} and kept (--replace rebuilds it): {kept}")
    if copies := ", ".join(assigned.copies):
        typer.echo(f"your changes in source/{assigned.assignment} are kept in {copies}")
    for question in assigned.questions:
        typer.echo(question)
    typer.echo(f"{assigned.source} and {assigned.release} are ready")
