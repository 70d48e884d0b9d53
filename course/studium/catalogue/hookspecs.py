"""Studium's hooks. A plugin implements them in the module named by its entry point (group ``studium``)."""

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

    from studium.catalogue.exporting import ExportOptions
    from studium.catalogue.findings import Finding
    from studium.notebooks.editions import Edition
    from studium.notebooks.elsewhere import Repository
    from studium.topics.topic import Topic

hookspec = pluggy.HookspecMarker("studium")


@hookspec
def studium_topics() -> Iterable[Topic]:  # type: ignore[empty-body]
    """Return the topics in a package.

    Called once for each catalogue that is loaded. Import nothing heavy: a topic is only metadata.
    """


@hookspec
def studium_commands(app: typer.Typer) -> None:
    """Add commands to ``app``, the command line, before it parses its arguments."""


@hookspec
def studium_begin(arguments: list[str]) -> None:
    """Start whatever the command in ``arguments`` will certainly need and takes long, such as a process that imports
    torch.

    This is called before anything else, so import little, and leave mistakes in the arguments to the command, which
    parses them later.
    """


@hookspec
def studium_edit_notebook(topic: Topic, notebook: NotebookNode, edition: Edition) -> None:
    """Change a compiled notebook in place, before it is validated and written.

    The host uses this for the setup cell; a hub could add its links, and a course its honour code.
    """


@hookspec(firstresult=True)
def studium_compare(actual: Any, expected: Any, rtol: float | None, atol: float | None) -> str | None:
    """Compare two values of a type that you know.

    Return "" if they are equal within the tolerances (None: the type's own), a sentence about the first difference if
    they are not, and None for a type that is not yours.
    """


@hookspec(firstresult=True)
def studium_show_difference(actual: Any, expected: Any, rtol: float, atol: float) -> Any | None:
    """Return a picture of two arrays that should be equal but are not; None for a type that you do not know.

    The result is displayed in the notebook, so it needs a representation that a saved notebook keeps. Values differ if
    |actual - expected| > atol + rtol |expected|. Shapes may differ.
    """


@hookspec(firstresult=True)
def studium_executor(name: str, options: dict[str, Any]) -> Executor | None:
    """Return the executor called ``name`` on which grading runs, or None if the name is not yours."""


@hookspec(firstresult=True)
def studium_export(
    format: str,  # noqa: A002
    gradebook: str,
    path: Path,
    assignments: tuple[str, ...],
    options: ExportOptions,
) -> Path | None:
    """Write the marks in ``gradebook`` (a database URL) to ``path``, or return None if ``format`` is not yours.

    ``assignments`` names the ones to write, or all if it is empty. An exporter that does not need the options can leave
    that parameter out. Return the path that was written.
    """


@hookspec
def studium_export_formats() -> Iterable[str]:  # type: ignore[empty-body]
    """Return the formats that your ``studium_export`` writes; they are listed when somebody asks for an unknown one."""


@hookspec(firstresult=True)
def studium_repository(course: Path) -> Repository | None:
    """Return the public repository named by the course in the folder ``course``, or None if it names none.

    Raise StudiumError, with one sentence, if the course's settings cannot be used.
    """


@hookspec
def studium_findings() -> Iterable[Finding]:  # type: ignore[empty-body]
    """Check what your plugin needs from this machine, for ``studium doctor``.

    Each finding is a line: what was checked, what was found and, if that is not fine, what to do. Import nothing heavy,
    and take no longer than a second.
    """


@hookspec
def studium_topic_checks(topic: Topic) -> Mapping[str, Callable[[], Iterable[str]]]:  # type: ignore[empty-body]
    """Return further checks of a topic for ``studium topic check``, as a function for each check's name.

    A function returns the problems it finds, one sentence each: what was needed, what came, what to do next. If there
    are none, the check passes. It may run alongside other checks, so do the work in a separate process.
    """
