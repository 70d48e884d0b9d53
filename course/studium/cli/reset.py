"""``studium reset``: put the untouched exercise back, and keep the old answer."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from studium.cli.desk import AsJson, Exercise, Notebook, open_file
from studium.cli.output import print_json

if TYPE_CHECKING:
    from studium.desk.standing import Version


def reset(
    ctx: typer.Context,
    notebook: Notebook,
    exercise: Exercise,
    history: Annotated[
        bool, typer.Option("--history", help="List your earlier answers without changing anything.")
    ] = False,
    restore: Annotated[str | None, typer.Option(help="Put back an earlier answer, given by its id.")] = None,
    as_json: AsJson = False,
) -> None:
    """Put the untouched exercise back into a notebook. Your answer is kept in the history."""
    lesson = open_file(ctx, notebook)
    if history:
        _show(lesson.versions(exercise), as_json)
        return
    replaced = lesson.restore(exercise, restore) if restore else lesson.reset(exercise)
    if as_json:
        print_json(replaced)
        return
    kept = f"; your previous answer is kept, and --restore {replaced.version} puts it back" if replaced.version else ""
    typer.echo(f"{exercise} {'has its earlier answer back' if restore else 'is untouched again'}{kept}")


def _show(versions: "tuple[Version, ...]", as_json: bool) -> None:
    if as_json:
        print_json({"versions": versions})
    for item in () if as_json else versions:
        when = datetime.fromtimestamp(item.time / 1000).astimezone().strftime("%Y-%m-%d %H:%M:%S")
        typer.echo(f"{item.id}  {when}  {item.outcome or item.reason}\n{item.answer.rstrip()}\n")
