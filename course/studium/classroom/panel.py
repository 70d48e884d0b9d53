"""What the panel's Assignments tab shows and does, for the desk's server."""

from pathlib import Path
from typing import Any, Literal

import msgspec

from studium.classroom import folder as folders
from studium.classroom.connections import connection_of, connections
from studium.classroom.messages import Extended, Regrade
from studium.classroom.overview import Overview, overview


class ClassroomView(msgspec.Struct):
    """What the tab shows. ``folders`` maps "course assignment" to the contents paths of what was fetched."""

    connected: bool
    overview: Overview
    folders: dict[str, str]


def view(root: Path) -> ClassroomView:
    """Return all assignments, or an empty list if no course was joined."""
    return ClassroomView(bool(connections()), overview(), _fetched(root))


def fetch(course: str, assignment: str, target: Path) -> dict[str, Any]:
    """Write a hand-out into ``target`` and return what was written and what was kept."""
    with connection_of(course).client() as client:
        done = folders.fetch(client, course, assignment, target)
    return {"folder": f"{course}/{assignment}", "written": done.written, "kept": done.kept}


def page(course: str, assignment: str, kind: Literal["board", "mark"]) -> dict[str, str]:
    """Return a link that opens an assignment's board, or its marking page, once. Raise ClassroomError for a student."""
    with connection_of(course).client() as client:
        return {
            "link": client.board(course, assignment) if kind == "board" else client.marking_page(course, assignment)
        }


def grade(course: str, assignment: str) -> dict[str, int]:
    """Have everybody's newest submission graded again. Raise ClassroomError unless an instructor asks."""
    with connection_of(course).client() as client:
        return {"waiting": client.grade(course, assignment)}


def release(course: str, assignment: str) -> dict[str, bool]:
    """Let students see their marks and feedback. Raise ClassroomError unless an instructor asks."""
    with connection_of(course).client() as client:
        client.release(course, assignment)
    return {"released": True}


def extend(course: str, assignment: str, student: str, until: str, reason: str) -> Extended:
    """Let one student hand in later. Raise ClassroomError unless an instructor asks."""
    with connection_of(course).client() as client:
        return client.extend(course, student, assignment, until, reason)


def feedback(course: str, assignment: str, attempt: int, notebook: str) -> bytes:
    """Return a feedback page. Raise ClassroomError if there is none."""
    with connection_of(course).client() as client:
        return client.feedback(course, assignment, attempt, notebook)


def ask_regrade(course: str, assignment: str, attempt: int, text: str) -> Regrade:
    """Ask that an attempt is marked again. Raise ClassroomError if the server refuses."""
    with connection_of(course).client() as client:
        return client.ask_regrade(course, assignment, attempt, text)


def _fetched(root: Path) -> dict[str, str]:
    """Return the folders that were fetched, at the top level or one level below."""
    found = {}
    for pattern in (f"*/{folders.MARKER}", f"*/*/{folders.MARKER}"):
        for marker in sorted(root.glob(pattern)):
            one = folders.marker_of(marker.parent)
            found[f"{one.course} {one.assignment}"] = marker.parent.relative_to(root).as_posix()
    return found
