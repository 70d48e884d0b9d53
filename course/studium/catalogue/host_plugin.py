"""The host's own plugin. Each hook imports what it needs when called: the catalogue must load in milliseconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from studium import hookimpl

if TYPE_CHECKING:
    from typing import Any

    from nbformat import NotebookNode

    from studium.notebooks.editions import Edition
    from studium.topics.topic import Topic


@hookimpl
def studium_compare(actual: Any, expected: Any, rtol: float | None, atol: float | None) -> str | None:
    """Compare numbers, arrays, tensors and modules."""
    from studium.exercises.compare_arrays import compare

    return compare(actual, expected, rtol, atol)


@hookimpl(tryfirst=True)
def studium_edit_notebook(topic: Topic, notebook: NotebookNode, edition: Edition) -> None:
    """Put the setup cell first, and fold an opener's code."""
    from studium.notebooks.setup_cell import fold_code, insert_setup_cell

    insert_setup_cell(topic, notebook)
    if topic.opener:
        fold_code(notebook)
