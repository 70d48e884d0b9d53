"""What a lesson shows before a kernel has started: its first widget, which moves at once, and its diagrams."""

import ast
import contextlib
import io
from typing import Any

from nbformat import NotebookNode
from nbformat.v4 import new_output

from studium.exercises.syntax import parse
from studium.notebooks.editions import role
from studium.notebooks.files import SAVED_WIDGET
from studium.notebooks.needed_cells import needed


def show_first_widget(notebook: NotebookNode) -> None:
    """Run a compiled lesson as far as its first widget, and keep what it shows; if that fails, leave the lesson
    unchanged.

    Exercises, checks and experiments are skipped, along with whatever fails without them. What the cells print is
    dropped.
    """
    cells = _light_cells(notebook)
    first = next((n for n, cell in enumerate(cells) if "widget" in _tags(cell)), None)
    if first is not None:
        _show(cells[first], cells[:first])


def show_diagrams(notebook: NotebookNode) -> None:
    """Keep what each cell tagged "diagram" shows, run with only the cells that define what it uses."""
    cells = _light_cells(notebook)
    for place, cell in enumerate(cells):
        if "diagram" in _tags(cell):
            before = needed([one.source for one in cells[: place + 1]], [place])
            _show(cell, [cells[number] for number in before if number != place])


def _light_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code" and role(cell) in ("setup", "code")]


def _tags(cell: NotebookNode) -> list[str]:
    return list(cell.metadata.get("tags", ()))


def _show(cell: NotebookNode, before: list[NotebookNode]) -> None:
    names: dict[str, Any] = {"__name__": "__main__"}
    with contextlib.suppress(Exception), contextlib.redirect_stdout(io.StringIO()):
        for one in before:
            with contextlib.suppress(Exception):
                _run(one.source, names)
        shown = _run(cell.source, names)._repr_mimebundle_()[0]
        cell.outputs = [new_output("display_data", {kind: shown[kind] for kind in (SAVED_WIDGET, "text/plain")})]


def _run(source: str, names: dict[str, Any]) -> Any:
    """Run a cell; return the value of its last line, or None if that is not an expression."""
    tree = parse(source)
    last = None
    if isinstance(end := tree.body[-1], ast.Expr):
        tree.body.pop()
        last = ast.Expression(end.value)
    exec(compile(tree, "<lesson>", "exec"), names)  # noqa: S102
    return eval(compile(last, "<lesson>", "eval"), names) if last else None  # noqa: S307
