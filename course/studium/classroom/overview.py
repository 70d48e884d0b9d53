"""All assignments of all courses that somebody has joined, and why some of them cannot be shown."""

import msgspec

from studium.classroom.client import ClassroomError
from studium.classroom.connections import Connection, connections
from studium.classroom.messages import AssignmentView, Membership
from studium.errors import UnknownNameError, UsageError


class Overview(msgspec.Struct, frozen=True):
    """Courses, their assignments, and a sentence for each server that does not answer."""

    courses: list[Membership]
    assignments: list[AssignmentView]
    problems: list[str]


def overview() -> Overview:
    """Ask all servers. If one does not answer, the others are still shown."""
    found = Overview([], [], [])
    for connection in connections():
        try:
            with connection.client() as client:
                for membership in client.me().courses:
                    found.courses.append(membership)
                    found.assignments.extend(client.assignments(membership.course))
        except ClassroomError as error:
            found.problems.append(str(error))
    return found


def assignment_named(name: str, course: str = "") -> tuple[Connection, AssignmentView]:
    """Return an assignment and the connection to its server. Raise UsageError if there is none, or several."""
    if not (joined := connections()):
        raise UsageError(
            "you have not joined a course yet; run: studium courses --join LINK, with your invitation link"
        )
    found = []
    for connection in joined:
        with connection.client() as client:
            for membership in client.me().courses:
                if course in ("", membership.course):
                    found += [(connection, view) for view in client.assignments(membership.course)]
    named = [pair for pair in found if pair[1].name == name]
    if not named:
        raise UnknownNameError("assignment", name, {view.name for _, view in found})
    if len(named) > 1:
        courses = ", ".join(view.course for _, view in named)
        raise UsageError(f"several of your courses have {name}: {courses}; choose one with --id")
    return named[0]
