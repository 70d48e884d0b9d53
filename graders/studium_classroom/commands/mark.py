"""``studium classroom mark``: what waits for a person, and the page on which to mark it."""

import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from studium_classroom.commands.opening import CourseId, HereFolder, chosen, opened, settings_of

if TYPE_CHECKING:
    from studium_classroom.marking import AskedRegrade, Questions


def mark(
    name: Annotated[str, typer.Argument(help="The assignment's name.")],
    course: HereFolder = None,
    course_id: CourseId = "",
    open_page: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Show which answers wait for a mark by hand and who asks for a regrade, and print a link to the marking page.

    The link works once, within five minutes, and the page stays open for eight hours. Without --course, the link comes
    from the course server that you have joined, or from your hub's, and a TA with a section sees only that section. If
    you have not joined one, the current folder is taken as the course; marks are then given under the name of your
    account.
    """
    from studium.classroom.connections import connections
    from studium.cli.output import print_json

    asked = course is None and connections()
    found, requests, link = _asked(course_id, name) if asked else _on_this_machine(course or Path(), course_id, name)
    if as_json:
        print_json({"link": link, "questions": found.questions, "requests": requests})
        return
    _print(found)
    _print_requests(requests)
    typer.echo(link)
    typer.echo("open this link in a browser within five minutes; it works once, and whoever has it marks as you")
    if open_page:
        typer.launch(link)


def _print(found: "Questions") -> None:
    from studium.cli.output import print_table

    if not found.questions:
        typer.echo(f"no answer to {found.assignment} waits for a person, and none was marked by hand")
        return
    rows = [
        (one.title, *(str(number) for number in (one.waiting, one.marked, one.mine, one.held)), f"{one.max_score:g}")
        for one in found.questions
    ]
    print_table(("question", "waiting", "marked", "by you", "held by others", "points"), rows)


def _print_requests(requests: "list[AskedRegrade]") -> None:
    from studium.cli.output import plain

    for one in requests:
        if one.replied is None:
            asked = f"{one.asked.astimezone():%Y-%m-%d %H:%M}"
            typer.echo(f"request {one.id}: {plain(one.student)} asked for a regrade of attempt {one.attempt}, {asked}")
            typer.echo(f"  {plain(one.text)}")


def _on_this_machine(folder: Path, course_id: str, name: str) -> "tuple[Questions, list[AskedRegrade], str]":
    settings = settings_of(folder)
    from studium.classroom.client import page_link

    from studium_classroom.roles import Person, Place, Role

    with opened(settings) as classroom:
        course, user, place = classroom.courses[chosen(classroom, course_id)], _account(), Place(Role.OWNER)
        person = Person(user, {course.id: place})
        found = classroom.marking.questions(course, person, name)
        requests = classroom.marking.requests(course, person, name, names=True)
        secret = classroom.marking_pages.link(course.id, user, place)
        return found, requests, page_link(settings.link, "mark", course.id, name, secret)


def _account() -> str:
    """Return who runs this; two people who share an account share the answer that they hold, too."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "operator"


def _asked(course_id: str, name: str) -> "tuple[Questions, list[AskedRegrade], str]":
    from studium.classroom.overview import assignment_named

    from studium_classroom.staff_client import StaffClient

    connection, view = assignment_named(name, course_id)
    with StaffClient(connection.url, connection.token) as client:
        course = view.course
        return client.marking(course, name), client.regrades(course, name), client.marking_page(course, name)
