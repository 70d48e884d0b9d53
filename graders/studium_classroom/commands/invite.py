"""``studium classroom invite``: make links for joining a course where there is no hub."""

from pathlib import Path
from typing import Annotated

import typer

from studium_classroom.commands.opening import CourseId, Folder, chosen, opened, settings_of


def invite(
    users: Annotated[list[str], typer.Argument(help="The names of the people to invite, as in the gradebook.")],
    role: Annotated[str, typer.Option(help="student, ta, instructor or owner.")] = "student",
    section: Annotated[str, typer.Option(help="Their section; a TA with a section is limited to it.")] = "",
    course: Folder = Path(),
    course_id: CourseId = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Print an invitation link for each person, which works once, within 30 days. Send it to that person only."""
    settings = settings_of(course)
    from studium.cli.output import print_json, print_table

    from studium_classroom.roles import Place, Role

    place = Place(Role.named(role), section)
    with opened(settings) as classroom:
        chosen_id = chosen(classroom, course_id)
        links = {user: f"{settings.link}/join#{classroom.members.invite(chosen_id, user, place)}" for user in users}
    if as_json:
        print_json(links)
    else:
        print_table(("who", "link"), list(links.items()), whole="link")
        typer.echo("they join with: studium courses --join LINK")
