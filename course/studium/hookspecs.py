"""The hooks of Studium. A plugin implements them in the module that its entry point (group ``studium``) names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from concurrent.futures import Executor
    from pathlib import Path
    from typing import Any

    import typer
    from nbformat import NotebookNode

    from studium.diagnosis import Finding
    from studium.editions import Edition
    from studium.elsewhere import Repository
    from studium.exporting import ExportOptions
    from studium.topic import Topic

hookspec = pluggy.HookspecMarker("studium")


@hookspec
def studium_topics() -> Iterable[Topic]:  # type: ignore[empty-body]
    """Return the topics that a package brings.

    Called once for each catalogue that is loaded. Import nothing heavy: a topic is metadata.
    """


@hookspec
def studium_commands(app: typer.Typer) -> None:
    """Add commands to ``app``, the command line, before it parses its arguments."""


@hookspec
def studium_begin(arguments: list[str]) -> None:
    """Begin what the command in ``arguments`` plainly needs and takes long, such as a process that imports torch.

    Called first of all: import little, and leave mistakes in the arguments to the command, which reads them later.
    """


@hookspec
def studium_edit_notebook(topic: Topic, notebook: NotebookNode, edition: Edition) -> None:
    """Change a compiled notebook in place, before it is validated and written.

    The host uses it for the setup cell; a hub would add its links, a course its honour code.
    """


@hookspec(firstresult=True)
def studium_compare(actual: Any, expected: Any, rtol: float | None, atol: float | None) -> str | None:
    """Compare two values of a type that you know.

    Return "" where they are equal within the tolerances (None: the type's own), a sentence that names the first
    difference where they are not, and None for a type that is not yours.
    """


@hookspec(firstresult=True)
def studium_show_difference(actual: Any, expected: Any, rtol: float, atol: float) -> Any | None:
    """Return a picture of two arrays that should be equal and are not; None for a type that you do not know.

    What you give is displayed in the notebook, so it needs a representation that a saved notebook keeps. Values differ
    where |actual - expected| > atol + rtol |expected|. Shapes may differ.
    """


@hookspec(firstresult=True)
def studium_executor(name: str, options: dict[str, Any]) -> Executor | None:
    """Return the executor called ``name`` on which grading runs, or None where the name is not yours."""


@hookspec(firstresult=True)
def studium_export(
    format: str,  # noqa: A002
    gradebook: str,
    path: Path,
    assignments: tuple[str, ...],
    options: ExportOptions,
) -> Path | None:
    """Write the marks in ``gradebook`` (a database URL) to ``path``; None where ``format`` is not yours.

    ``assignments`` names those that are wanted; all of them where it is empty. An exporter that needs none of the
    options leaves the parameter out. Return the path that was written.
    """


@hookspec
def studium_export_formats() -> Iterable[str]:  # type: ignore[empty-body]
    """Return the formats that your ``studium_export`` writes, to be listed where somebody asks for another."""


@hookspec(firstresult=True)
def studium_repository(course: Path) -> Repository | None:
    """Return the public repository that the course in the folder ``course`` names; None where it names none.

    Raise StudiumError, one sentence, for a course whose settings cannot be used.
    """


@hookspec
def studium_findings() -> Iterable[Finding]:  # type: ignore[empty-body]
    """Look at what your plugin needs of this machine, for ``studium doctor``.

    Each finding is a line: what was looked at, what was found and, where it is not fine, what to do. Import nothing
    heavy, and take no longer than a second.
    """


@hookspec
def studium_topic_checks(topic: Topic) -> Mapping[str, Callable[[], Iterable[str]]]:  # type: ignore[empty-body]
    """Return what else must hold for a topic, for ``studium topic check``: a function for each name of a check.

    A function gives the problems that it finds, one sentence each: what was needed, what came, what to do next. None
    means that the check passes. It may run beside other checks, so let it work in a process of its own.
    """
