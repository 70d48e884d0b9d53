"""``studium feedback``: write a page for each student and notebook, where nbgrader's release_feedback picks it up."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from studium_graders.commands.extra import require_grade_extra, settings_errors
from studium_graders.commands.stopping import stoppable

if TYPE_CHECKING:
    from studium_graders.feedback import Feedback
    from studium_graders.feedback.marks import SubmissionMarks


def feedback(
    name: Annotated[str, typer.Argument(help="The assignment's name.")],
    course: Annotated[Path, typer.Option(help="The course folder.")] = Path(),
    student: Annotated[
        list[str] | None, typer.Option(help="Write only this student's feedback; can be repeated.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Write feedback/STUDENT/NAME/NOTEBOOK.html for everyone who handed in, using the marks in the gradebook.

    A page whose content has not changed is left alone; any other is replaced. Hidden tests are shown by name only.
    """
    require_grade_extra("nbgrader", "nh3")
    from studium.cli.output import plain, print_json

    from studium_graders.feedback import write_feedback

    with (
        stoppable(f"the pages written so far are kept: run studium feedback {name} again to write the rest"),
        settings_errors(course),
    ):
        written = write_feedback(course, name, student or (), _counted)
    if as_json:
        print_json(written)
    else:
        _print(written)
    for problem in written.problems:
        typer.echo(f"studium: {plain(problem)}", err=True)
    if written.problems:
        raise typer.Exit(1)


def _counted(submissions: "Sequence[SubmissionMarks]") -> "Iterable[SubmissionMarks]":
    """Show on a terminal how many submissions have their pages."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    return track(submissions, "feedback", console=console, transient=True, disable=not console.is_terminal)


def _print(written: "Feedback") -> None:
    from studium.cli.output import plain, print_table

    rows = [
        (
            page.student,
            page.notebook,
            f"{page.score:g} of {page.max_score:g}" + (f", {page.waiting:g} to mark" if page.waiting else ""),
            "written" if page.written else "unchanged",
        )
        for page in written.pages
    ]
    if rows:
        print_table(("student", "notebook", "points", "page"), rows)
    for note in written.notes:
        typer.echo(plain(note))
    if line := written.absent.line:
        typer.echo(plain(line))
    if rows:
        typer.echo(f"{sum(page.written for page in written.pages)} of {len(written.pages)} pages were written")
