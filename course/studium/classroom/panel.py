"""What the panel's Assignments tab shows and does, for the desk's server."""

from pathlib import Path
from typing import Any

import msgspec

from studium.classroom import folder as folders
from studium.classroom.connections import connection_of, connections
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


def board(course: str, assignment: str) -> dict[str, str]:
    """Return a link that opens an assignment's board once. Raise ClassroomError for a student."""
    with connection_of(course).client() as client:
        return {"link": client.board(course, assignment)}


def feedback(course: str, assignment: str, attempt: int, notebook: str) -> bytes:
    """Return a feedback page. Raise ClassroomError if there is none."""
    with connection_of(course).client() as client:
        return client.feedback(course, assignment, attempt, notebook)


def _fetched(root: Path) -> dict[str, str]:
    """Return the folders that were fetched, at the top level or one level below."""
    found = {}
    for pattern in (f"*/{folders.MARKER}", f"*/*/{folders.MARKER}"):
        for marker in sorted(root.glob(pattern)):
            one = folders.marker_of(marker.parent)
            found[f"{one.course} {one.assignment}"] = marker.parent.relative_to(root).as_posix()
    return found
