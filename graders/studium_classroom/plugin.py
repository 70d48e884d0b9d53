"""What the course server adds to the command line. Loading this module imports only the host."""

from __future__ import annotations

from typing import TYPE_CHECKING

from studium import hookimpl

if TYPE_CHECKING:
    import typer


@hookimpl
def studium_commands(app: typer.Typer) -> None:
    """Add the groups ``classroom`` and ``student``, and the class list, which a course has without a server, too."""
    from typer import Typer

    from studium_classroom.commands.archive import archive, restore
    from studium_classroom.commands.board import board
    from studium_classroom.commands.class_list import roster as class_list
    from studium_classroom.commands.init_hub import init_hub
    from studium_classroom.commands.invite import invite
    from studium_classroom.commands.mark import mark
    from studium_classroom.commands.roster import roster
    from studium_classroom.commands.serve import serve
    from studium_classroom.commands.staff import extend, grade, release, reply
    from studium_classroom.commands.status import status
    from studium_classroom.commands.student import erase, export

    group = Typer(help="Run a course server.", no_args_is_help=True)
    for name, command in (
        ("serve", serve),
        ("invite", invite),
        ("roster", roster),
        ("status", status),
        ("board", board),
        ("mark", mark),
        ("grade", grade),
        ("release", release),
        ("extend", extend),
        ("reply", reply),
        ("archive", archive),
        ("restore", restore),
        ("init-hub", init_hub),
    ):
        group.command(name)(command)
    app.add_typer(group, name="classroom")
    app.command("roster")(class_list)
    student = Typer(help="Export or erase what a course holds about a person.", no_args_is_help=True)
    student.command("export")(export)
    student.command("erase")(erase)
    app.add_typer(student, name="student")
