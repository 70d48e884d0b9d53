"""``studium update``: merge an improved lesson into a notebook."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from studium.cli.desk import AsJson, Notebook, open_file
from studium.cli.output import print_json, print_table

if TYPE_CHECKING:
    from studium.desk.merging import Change


def update(
    ctx: typer.Context,
    notebook: Notebook,
    apply: Annotated[
        bool, typer.Option("--apply", help="Make the changes; without this option, they are only shown.")
    ] = False,
    undo: Annotated[
        bool, typer.Option("--undo", help="Restore the notebook as it was before the last update.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Merge the installed lesson into a notebook, cell by cell. Your answers and the cells you added stay."""
    lesson = open_file(ctx, notebook)
    if undo:
        name = lesson.undo()
        if as_json:
            print_json({"undo": name})
        else:
            typer.echo(f"{notebook} is as it was before the update")
        return
    result = lesson.update() if apply else lesson.preview()
    if as_json:
        print_json(result)
        return
    _print(result.cells)
    if not result.cells:
        typer.echo(f"{notebook} is up to date")
    else:
        typer.echo(
            "done; --undo restores the notebook" if apply else "nothing has been changed yet; --apply makes the changes"
        )


def _print(changes: "Iterable[Change]") -> None:
    print_table(("cell", "change", "why"), [(change.cell, change.change, change.text) for change in changes])
