"""The hooks of Studium. A plugin implements them in the module that its entry point (group ``studium``) names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from collections.abc import Iterable
    from concurrent.futures import Executor
    from pathlib import Path
    from typing import Any

    import typer
    from nbformat import NotebookNode

    from studium.editions import Edition
    from studium.topic import Topic

hookspec = pluggy.HookspecMarker("studium")


@hookspec
def studium_topics() -> Iterable[Topic]:  # type: ignore[empty-body]
    """Give the topics that a package brings.

    Called once for each catalogue that is loaded. Import nothing heavy: a topic is metadata.
    """


@hookspec
def studium_commands(app: typer.Typer) -> None:
    """Add commands to ``app``, the command line, before it parses its arguments."""


@hookspec
def studium_edit_notebook(topic: Topic, notebook: NotebookNode, edition: Edition) -> None:
    """Change a compiled notebook in place, before it is validated and written.

    The host uses it for the setup cell; a hub would add its links, a course its honour code.
    """


@hookspec(firstresult=True)
def studium_compare(actual: Any, expected: Any, rtol: float | None, atol: float | None) -> str | None:
    """Compare two values of a type that you know.

    Give "" where they are equal within the tolerances (None: the type's own), a sentence that names the first
    difference where they are not, and None for a type that is not yours.
    """


@hookspec(firstresult=True)
def studium_executor(name: str, options: dict[str, Any]) -> Executor | None:
    """Give the executor called ``name`` on which grading runs, or None where the name is not yours."""


@hookspec(firstresult=True)
def studium_export(format: str, gradebook: str, path: Path) -> Path | None:  # noqa: A002
    """Write the marks in ``gradebook`` (a database URL) to ``path``; None where ``format`` is not yours."""
