"""The panel's way to the course server: what the commands courses, fetch, check and submit do, for a browser."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
from tornado.web import HTTPError, authenticated

from studium.classroom import folder as folders
from studium.classroom.client import ClassroomError
from studium.classroom.connections import connection_of, connections
from studium.classroom.overview import Overview, overview
from studium.server.base import DeskHandler, inside, notebook_path

_PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; sandbox"


class Assignment(msgspec.Struct, forbid_unknown_fields=True):
    """An assignment of a course."""

    course: str
    assignment: str


class Folder(msgspec.Struct, forbid_unknown_fields=True):
    """A folder that was fetched, as a contents path."""

    folder: str


class ServerCheck(msgspec.Struct, forbid_unknown_fields=True):
    """A notebook as it is on the screen, and the exercise in it that is meant ("" for all)."""

    path: str
    notebook: dict[str, Any]
    exercise: str = ""


class ClassroomView(msgspec.Struct):
    """What the tab shows. ``folders`` are the contents paths of what was fetched, by "course assignment"."""

    connected: bool
    overview: Overview
    folders: dict[str, str]


class ClassroomHandler(DeskHandler):
    """Courses and assignments."""

    @authenticated
    async def get(self) -> None:
        """Send all assignments; of somebody who has joined no course an empty list."""
        root = self.service.root
        await self.reply(lambda: ClassroomView(bool(connections()), overview(), _fetched(root)))


class FetchHandler(DeskHandler):
    """Hand-outs."""

    @authenticated
    async def post(self) -> None:
        """Write a hand-out into a folder COURSE/ASSIGNMENT below the server's; what is there stays."""
        wanted = self.body(Assignment)
        target = inside(self.service.root, f"{wanted.course}/{wanted.assignment}")

        def fetch() -> dict[str, Any]:
            with connection_of(wanted.course).client() as client:
                done = folders.fetch(client, wanted.course, wanted.assignment, target)
            return {"folder": f"{wanted.course}/{wanted.assignment}", "written": done.written, "kept": done.kept}

        await self.reply(fetch, 201)


class SubmitHandler(DeskHandler):
    """Handing in."""

    @authenticated
    async def post(self) -> None:
        """Hand a folder in as it is on the disk, and send the receipt."""
        folder = inside(self.service.root, self.body(Folder).folder)
        await self.reply(lambda: folders.submit(folder), 201)


class ServerCheckHandler(DeskHandler):
    """Checks by the course server."""

    @authenticated
    async def post(self) -> None:
        """Have a notebook checked against the hidden tests, too, which stay on the course server."""
        asked = self.body(ServerCheck)
        path = notebook_path(self.service.root, asked.path)
        document = msgspec.json.encode(asked.notebook).decode()
        await self.reply(lambda: folders.check(path, asked.exercise, document))


class FeedbackHandler(DeskHandler):
    """Pages of feedback."""

    @authenticated
    async def get(self, course: str, assignment: str, attempt: str, notebook: str) -> None:
        """Send a page in which nothing runs, whoever wrote it."""
        page = await self._page(course, assignment, int(attempt), notebook)
        self.set_header("Content-Security-Policy", _PAGE_POLICY)
        self.finish(page, set_content_type="text/html; charset=utf-8")

    async def _page(self, course: str, assignment: str, attempt: int, notebook: str) -> bytes:

        def ask() -> bytes:
            with connection_of(course).client() as client:
                return client.feedback(course, assignment, attempt, notebook)

        try:
            return await asyncio.to_thread(ask)
        except ClassroomError as error:
            raise HTTPError(error.status or 502, str(error).replace("%", "%%")) from error


def _fetched(root: Path) -> dict[str, str]:
    """Return the folders that were fetched, at the top or one level below."""
    found = {}
    for pattern in (f"*/{folders.MARKER}", f"*/*/{folders.MARKER}"):
        for marker in sorted(root.glob(pattern)):
            one = folders.marker_of(marker.parent)
            found[f"{one.course} {one.assignment}"] = marker.parent.relative_to(root).as_posix()
    return found
