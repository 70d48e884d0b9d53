"""What the graders add to the host: the classroom commands. Loading this module imports nothing but the host."""

from __future__ import annotations

from typing import TYPE_CHECKING

from studium import hookimpl

if TYPE_CHECKING:
    import typer


@hookimpl
def studium_commands(app: typer.Typer) -> None:
    """Add ``new course``, ``assign`` and ``student-wheel``."""
    from studium_graders.commands.assign import assign
    from studium_graders.commands.new_course import new_course
    from studium_graders.commands.student_wheel import student_wheel

    app.command("assign")(assign)
    app.command("student-wheel")(student_wheel)
    _group(app, "new").command("course")(new_course)


def _group(app: typer.Typer, name: str) -> typer.Typer:
    """Give the group of commands called ``name``: the host's, or a new one where the host has none."""
    from typer import Typer

    for group in app.registered_groups:
        if group.name == name and group.typer_instance is not None:
            return group.typer_instance
    made = Typer(no_args_is_help=True)
    app.add_typer(made, name=name)
    return made
