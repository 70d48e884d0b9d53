"""``studium classroom board``: open the board of an assignment in a browser."""

from pathlib import Path
from typing import Annotated

import typer

from studium_classroom.commands.opening import CourseId, HereFolder, chosen, opened, settings_of


def board(
    name: Annotated[str, typer.Argument(help="The assignment's name.")],
    course: HereFolder = None,
    course_id: CourseId = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Print a link that opens the board of an assignment: queue and heat map of the class, live.

    The link works once, within five minutes, and the board stays open for eight hours. Without --course, the link comes
    from the course server that you have joined, or from your hub's, and a TA with a section sees only that section. If
    you have not joined one, the current folder is taken as the course.
    """
    from studium.classroom.connections import connections
    from studium.cli.output import print_json

    asked = course is None and connections()
    link = _asked(course_id, name) if asked else _on_this_machine(course or Path(), course_id, name)
    if as_json:
        print_json({"link": link})
        return
    typer.echo(link)
    typer.echo(
        "open this link in a browser within five minutes; it works once, and the board shows what students handed in"
    )


def _on_this_machine(folder: Path, course_id: str, name: str) -> str:
    settings = settings_of(folder)
    from studium.classroom.client import page_link

    from studium_classroom.courses import utc_now
    from studium_classroom.roles import Place, Role

    with opened(settings) as classroom:
        course = classroom.courses[chosen(classroom, course_id)]
        course.assignment(name, Role.OWNER, utc_now())
        secret = classroom.boards.link(course.id, "", Place(Role.OWNER))
        return page_link(settings.link, "board", course.id, name, secret)


def _asked(course_id: str, name: str) -> str:
    from studium.classroom.overview import assignment_named

    connection, view = assignment_named(name, course_id)
    with connection.client() as client:
        return client.board(view.course, name)
