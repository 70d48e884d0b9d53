"""The picture of a lesson's first widget, kept in the lesson: it moves when the lesson opens, without a kernel."""

import ast
import contextlib
import io
from typing import Any

from nbformat import NotebookNode
from nbformat.v4 import new_output

from studium.editions import role
from studium.notebooks import SAVED_WIDGET
from studium.syntax import parse


def show_first_widget(notebook: NotebookNode) -> None:
    """Run a compiled lesson down to its first widget, and keep what it shows; leave the lesson as it is if that fails.

    Exercises, checks and experiments are passed over, and what fails without them. What the cells print is dropped.
    """
    cells = [cell for cell in notebook.cells if cell.cell_type == "code" and role(cell) in ("setup", "code")]
    first = next((n for n, cell in enumerate(cells) if "widget" in cell.metadata.get("tags", ())), None)
    if first is None:
        return
    names: dict[str, Any] = {"__name__": "__main__"}
    with contextlib.suppress(Exception), contextlib.redirect_stdout(io.StringIO()):
        for cell in cells[:first]:
            with contextlib.suppress(Exception):
                _run(cell.source, names)
        shown = _run(cells[first].source, names)._repr_mimebundle_()[0]
        kept = {kind: shown[kind] for kind in (SAVED_WIDGET, "text/plain")}
        cells[first].outputs = [new_output("display_data", kept)]


def _run(source: str, names: dict[str, Any]) -> Any:
    """Run a cell; give the value of its last line, None where that is no expression."""
    tree = parse(source)
    last = None
    if isinstance(end := tree.body[-1], ast.Expr):
        tree.body.pop()
        last = ast.Expression(end.value)
    exec(compile(tree, "<lesson>", "exec"), names)  # noqa: S102
    return eval(compile(last, "<lesson>", "eval"), names) if last else None  # noqa: S307
