"""``studium classroom grade``, ``release``, ``extend`` and ``reply``: what staff ask the server for, anywhere."""

from typing import TYPE_CHECKING, Annotated

import typer

from studium_classroom.commands.opening import CourseId

if TYPE_CHECKING:
    from studium_classroom.staff_client import StaffClient

Name = Annotated[str, typer.Argument(help="The assignment's name.")]


def grade(name: Name, course_id: CourseId = "") -> None:
    """Grade everybody's newest submission again, after the assignment or a mark by hand has changed.

    The server grades in the background, and what has not changed is not run again. studium classroom status shows how
    far it is.
    """
    client, course = _client(name, course_id)
    with client:
        waiting = client.grade(course, name)
    typer.echo(f"{waiting} submission{'' if waiting == 1 else 's'} of {name} in {course} will be graded again")


def release(name: Name, course_id: CourseId = "") -> None:
    """Let students see their marks and feedback, in a course that shows them when released."""
    client, course = _client(name, course_id)
    with client:
        client.release(course, name)
    typer.echo(f"students of {course} can see their marks for {name} now")


def extend(
    student: Annotated[str, typer.Argument(help="The student's id.")],
    name: Name,
    until: Annotated[
        str,
        typer.Option(help="Date and time, such as 2026-12-15T12:00, in the course's time zone unless one is given."),
    ],
    reason: Annotated[str, typer.Option(help="The reason, which is written into course.toml.")] = "",
    course_id: CourseId = "",
) -> None:
    """Let one student hand in later; this is written into the server's course.toml."""
    client, course = _client(name, course_id)
    with client:
        done = client.extend(course, student, name, until, reason)
    typer.echo(f"{student} now has until {done.until:%Y-%m-%d %H:%M %z} for {name}, due {done.due:%Y-%m-%d %H:%M %z}")


def reply(
    name: Name,
    request: Annotated[int, typer.Argument(min=1, help="The request's number, as studium classroom mark prints it.")],
    text: Annotated[str, typer.Argument(help="What the student will read beside the mark.")],
    course_id: CourseId = "",
) -> None:
    """Reply to a student who asked for a regrade, or change your reply.

    To change the mark itself, use studium classroom mark; students see new marks after studium classroom grade.
    """
    client, course = _client(name, course_id)
    with client:
        client.reply(course, name, request, text)
    typer.echo(f"the student can read your reply to request {request} now")


def _client(name: str, course_id: str) -> "tuple[StaffClient, str]":
    """Return a client of the server that has the assignment, and the id of its course."""
    from studium.classroom.overview import assignment_named

    from studium_classroom.staff_client import StaffClient

    connection, view = assignment_named(name, course_id)
    return StaffClient(connection.url, connection.token), view.course
