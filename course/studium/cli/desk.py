"""The notebook and workspace options that the learner's commands share, and functions to open what they name."""

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

Notebook = Annotated[Path, typer.Argument(help="The notebook that contains your answers.")]
Exercise = Annotated[str, typer.Argument(help="The exercise's name, as in the notebook.")]
Course = Annotated[
    Path,
    typer.Option(
        help="Your workspace; by default the current folder.", default_factory=workspace_here, show_default=False
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def open_file(ctx: typer.Context, notebook: Path) -> "LessonFile":
    """Open a lesson together with its learner's journal."""
    from studium.desk.lesson_file import LessonFile

    return LessonFile(notebook, ctx.obj, open_store())


def open_journal(course: Path) -> "Journal":
    """Open the journal of a workspace; raise UsageError if the folder does not exist."""
    from studium.desk.journal import Journal

    if not course.is_dir():
        raise UsageError(
            f"this command needs a workspace, but the folder {course} does not exist; name yours with --course, or "
            f"run `studium lab`"
        )
    return Journal(open_store(), course)


def open_syllabus(ctx: typer.Context, course: Path) -> "Syllabus":
    """Read a workspace's syllabus."""
    from studium.desk.describing import descriptions
    from studium.desk.syllabus import read_syllabus

    journal = open_journal(course)  # fails before the slow part starts
    return read_syllabus(ctx.obj, descriptions(ctx.obj), journal, course, "")


def open_store() -> "Store":
    """Open the learner's state, and print a sentence if a damaged file was set aside."""
    from studium.desk.store import Store

    store = Store()
    if store.notice:
        typer.echo(f"problem: {store.notice}", err=True)
    return store
