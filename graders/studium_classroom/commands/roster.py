"""``studium classroom roster``: list and change the members of a course."""

from pathlib import Path
from typing import Annotated

import typer

from studium_classroom.commands.opening import CourseId, Folder, chosen, opened, settings_of


def roster(
    add: Annotated[
        Path | None,
        typer.Option(
            "--import", help="A CSV file with the columns student (or user), and optionally role and section."
        ),
    ] = None,
    remove: Annotated[list[str] | None, typer.Option(help="Remove this member; can be repeated.")] = None,
    course: Folder = Path(),
    course_id: CourseId = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """List everybody in a course, after adding or removing members. Whatever removed members handed in is kept.

    Staff and their sections are added here. Students can come from the class list (studium roster).
    """
    settings = settings_of(course)
    from studium.cli.output import print_json, print_table

    from studium_classroom.class_roster import roster_of
    from studium_classroom.roster_file import read_roster

    entries = read_roster(add) if add else {}
    with opened(settings) as classroom:
        chosen_id = chosen(classroom, course_id)
        for user, place in entries.items():
            classroom.members.put(chosen_id, user, place)
        for user in remove or ():
            classroom.members.remove(chosen_id, user)
        members = roster_of(classroom.courses[chosen_id], classroom.members)
    if as_json:
        print_json(members)
    else:
        rows = [
            (one.user, one.role, one.section, "yes" if one.joined else "", "gone" if one.gone else "")
            for one in members
        ]
        print_table(("who", "role", "section", "joined", ""), rows)
