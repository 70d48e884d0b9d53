"""``studium watch``: check again whenever the notebook is saved, and show the first exercise still to do."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from studium.cli.desk import Notebook, open_file

if TYPE_CHECKING:
    from studium.desk.zygote import Zygote
    from studium.exercises.checking import ShownResult


def watch(
    ctx: typer.Context,
    notebook: Notebook,
    limit: Annotated[
        float | None, typer.Option(help="Time limit for one cell or exercise, in seconds.", min=0.1)
    ] = None,
) -> None:
    """Check a notebook each time it is saved, until every exercise is right. Shows only the first failure."""
    from watchfiles import watch as saves

    from studium.desk.zygote import Zygote

    zygote = Zygote()
    saved = saves(
        notebook.parent,
        watch_filter=lambda _, name: Path(name).name == notebook.name,
        recursive=False,
        rust_timeout=200,
        yield_on_timeout=True,
    )
    try:
        typer.echo(f"Checking {notebook.name} now and whenever it is saved; stop with Ctrl+C.", err=True)
        next(saved)  # begins to watch, so that a save during a round is noticed after it
        while not _round(ctx, notebook, limit, zygote):
            while not next(saved):
                pass
    finally:
        zygote.close()


def _round(ctx: typer.Context, notebook: Path, limit: float | None, zygote: "Zygote") -> bool:
    """Check once and print the next exercise; return whether everything is done."""
    from studium.cli.check import show_verdicts, summary
    from studium.desk.clean_check import Terms
    from studium.errors import NotebookError

    try:
        lesson = open_file(ctx, notebook)
    except NotebookError as error:  # half written: the next save completes it
        typer.echo(f"{error}\n")
        return False
    terms = Terms(limit or lesson.journal.settings.limit, launch=zygote.launch)
    results = lesson.shown(lesson.check(None, terms))
    first = _first(results)
    typer.echo()
    show_verdicts([first] if first else [])
    typer.echo(summary(results) + ("" if first else "; all is right"))
    return first is None


def _first(results: "list[ShownResult]") -> "ShownResult | None":
    """Return the first wrong answer, or else the first one not attempted; None if all are right."""
    for outcome in ("wrong", "not attempted"):
        for item in results:
            if item.outcome == outcome:
                return item
    return None
