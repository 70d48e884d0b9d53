"""The options of the learner's commands that name a notebook or a workspace, and functions that open them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from studium.desk.places import workspace_here
from studium.errors import UsageError

if TYPE_CHECKING:
    from studium.desk.journal import Journal
    from studium.desk.lesson_file import LessonFile
    from studium.desk.store import Store
    from studium.desk.syllabus import Syllabus

Notebook = Annotated[Path, typer.Argument(help="The notebook with your answers.")]
Exercise = Annotated[str, typer.Argument(help="The exercise's name in the notebook.")]
Course = Annotated[
    Path,
    typer.Option(help="Your workspace; by default the one here.", default_factory=workspace_here, show_default=False),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def open_file(ctx: typer.Context, notebook: Path) -> "LessonFile":
    """Open a lesson with its learner's journal."""
    from studium.desk.lesson_file import LessonFile

    return LessonFile(notebook, ctx.obj, open_store())


def open_journal(course: Path) -> "Journal":
    """Open the journal of a workspace; raise UsageError if there is no such folder."""
    from studium.desk.journal import Journal

    if not course.is_dir():
        raise UsageError(
            f"a workspace is needed, but there is no folder {course}; name yours with --course, or run `studium lab`"
        )
    return Journal(open_store(), course)


def open_syllabus(ctx: typer.Context, course: Path) -> "Syllabus":
    """Read the syllabus of a workspace."""
    from studium.desk.describing import descriptions
    from studium.desk.syllabus import read_syllabus

    journal = open_journal(course)  # fails before the slow part
    return read_syllabus(ctx.obj, descriptions(ctx.obj), journal, course, "")


def open_store() -> "Store":
    """Open the learner's state, and print a sentence if a damaged file was put aside."""
    from studium.desk.store import Store

    store = Store()
    if store.notice:
        typer.echo(f"problem: {store.notice}", err=True)
    return store
