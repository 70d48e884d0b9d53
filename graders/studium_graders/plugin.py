"""What the graders add to the host: the classroom commands. Loading this module imports only the host."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from studium import hookimpl

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from concurrent.futures import Executor
    from pathlib import Path
    from typing import Any

    import typer
    from studium.catalogue.exporting import ExportOptions
    from studium.catalogue.findings import Finding
    from studium.notebooks.elsewhere import Repository
    from studium.topics.topic import Topic


@hookimpl
def studium_begin(arguments: list[str]) -> None:
    """Start importing torch for ``studium grade`` while the command line is parsed."""
    from studium_graders.grading.early_start import begin_early

    begin_early(arguments)


@hookimpl
def studium_commands(app: typer.Typer) -> None:
    """Add the classroom commands."""
    from studium_graders.commands.assign import assign
    from studium_graders.commands.collect import collect
    from studium_graders.commands.export import export
    from studium_graders.commands.extend import extend
    from studium_graders.commands.feedback import feedback
    from studium_graders.commands.grade import grade
    from studium_graders.commands.history import history
    from studium_graders.commands.late_days import late_days
    from studium_graders.commands.mine import mine
    from studium_graders.commands.new_course import new_course
    from studium_graders.commands.report import report
    from studium_graders.commands.student_wheel import student_wheel

    app.command("assign")(assign)
    app.command("collect")(collect)
    app.command("extend")(extend)
    app.command("grade")(grade)
    app.command("feedback")(feedback)
    app.command("export")(export)
    app.command("report")(report)
    app.command("history")(history)
    app.command("late-days")(late_days)
    app.command("student-wheel")(student_wheel)
    _group(app, "new").command("course")(new_course)
    _group(app, "topic").command("mine")(mine)
    _add_accommodations(app)


@hookimpl
def studium_findings() -> Iterable[Finding]:
    """Report how well students' code is isolated when it is graded on this machine."""
    from studium.catalogue.findings import Finding

    from studium_graders.engine.sandbox import describe, probe

    yield Finding("sandbox", describe(probe()))


@hookimpl
def studium_executor(name: str, options: dict[str, Any]) -> Executor | None:
    """Return "local", threads of this process, or "dask", a cluster."""
    if name not in ("local", "dask"):
        return None
    from studium_graders.grading.executors import dask_executor, local_executor

    return local_executor(options) if name == "local" else dask_executor(options)


@hookimpl
def studium_topic_checks(topic: Topic) -> Mapping[str, Callable[[], Iterable[str]]]:
    """Check that tests run apart from the answer, and that what students get gives nothing away (with nbgrader)."""

    def together() -> Iterable[str]:
        from studium_graders.grading.apart_check import problems

        return problems(topic)

    def leaks() -> Iterable[str]:
        from studium_graders.assignments.handouts import leaks

        return leaks(topic)

    checks = {"tests run apart": together}
    return checks if find_spec("nbgrader") is None else checks | {"handouts": leaks}


@hookimpl
def studium_export_formats() -> Iterable[str]:
    """Return what nbgrader's own exporter writes, and the systems whose sheets can be filled in."""
    return ("csv", "canvas", "moodle")


@hookimpl
def studium_export(
    format: str,  # noqa: A002
    gradebook: str,
    path: Path,
    assignments: tuple[str, ...],
    options: ExportOptions,
) -> Path | None:
    """Write the marks as nbgrader's own CSV, or into a sheet that Canvas or Moodle exported."""
    if format == "csv":
        from studium_graders.lms.csv_file import write_csv

        return write_csv(gradebook, path, assignments, options.course)
    if format in ("canvas", "moodle"):
        from studium_graders.lms.exporting import write_sheet

        return write_sheet(format, gradebook, path, assignments, options)
    return None


@hookimpl
def studium_repository(course: Path) -> Repository | None:
    """Return the table [repository] of the course.toml in a folder."""
    from studium_graders.course.course_file import read_course

    return read_course(course).repository


def _add_accommodations(app: typer.Typer) -> None:
    """Add ``studium accommodations``, which lists and imports, and its own commands."""
    from studium_graders.commands.accommodations import accommodations, list_, remove, set_

    group = _group(app, "accommodations")
    group.info.no_args_is_help = False
    group.callback(invoke_without_command=True)(accommodations)
    for name, command in (("set", set_), ("list", list_), ("remove", remove)):
        group.command(name)(command)


def _group(app: typer.Typer, name: str) -> typer.Typer:
    """Return the group of commands called ``name``: the host's, or a new one if the host has none."""
    from typer import Typer

    for group in app.registered_groups:
        if group.name == name and group.typer_instance is not None:
            return group.typer_instance
    made = Typer(no_args_is_help=True)
    app.add_typer(made, name=name)
    return made
