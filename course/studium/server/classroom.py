"""The panel's access to the course server: the commands courses, fetch, check, submit and regrade, for a browser."""

import asyncio
from typing import Any, Literal

import msgspec
from tornado.web import HTTPError, authenticated

from studium.server.base import DeskHandler, inside, notebook_path

_PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; sandbox"


class Assignment(msgspec.Struct, forbid_unknown_fields=True):
    """An assignment of a course."""

    course: str
    assignment: str


class RegradeAsked(msgspec.Struct, forbid_unknown_fields=True):
    """A student's reason why an attempt should be marked again."""

    course: str
    assignment: str
    attempt: int
    text: str


class MoreTime(msgspec.Struct, forbid_unknown_fields=True):
    """A later date for one student; ``until`` in ISO 8601, in the course's time zone unless it names one."""

    course: str
    assignment: str
    student: str
    until: str
    reason: str = ""


class Folder(msgspec.Struct, forbid_unknown_fields=True):
    """A folder that was fetched, as a contents path."""

    folder: str


class ServerCheck(msgspec.Struct, forbid_unknown_fields=True):
    """A notebook as shown on the screen, and the exercise in it that is meant ("" for all)."""

    path: str
    notebook: dict[str, Any]
    exercise: str = ""


class ClassroomHandler(DeskHandler):
    """Courses and assignments."""

    @authenticated
    async def get(self) -> None:
        """Send all assignments, or an empty list if no course was joined."""
        root = self.service.root

        def show() -> Any:
            from studium.classroom.panel import view

            return view(root)

        await self.reply(show)


class FetchHandler(DeskHandler):
    """Hand-outs."""

    @authenticated
    async def post(self) -> None:
        """Write a hand-out into a folder COURSE/ASSIGNMENT below the server's, keeping existing files."""
        wanted = self.body(Assignment)
        target = inside(self.service.root, f"{wanted.course}/{wanted.assignment}")

        def write() -> Any:
            from studium.classroom.panel import fetch

            return fetch(wanted.course, wanted.assignment, target)

        await self.reply(write, 201)


class SubmitHandler(DeskHandler):
    """Handing in."""

    @authenticated
    async def post(self) -> None:
        """Hand in a folder as it is on disk, and send the receipt."""
        folder = inside(self.service.root, self.body(Folder).folder)

        def hand_in() -> Any:
            from studium.classroom.folder import submit

            return submit(folder)

        await self.reply(hand_in, 201)


class ServerCheckHandler(DeskHandler):
    """Checks by the course server."""

    @authenticated
    async def post(self) -> None:
        """Have a notebook also checked against the hidden tests, which stay on the course server."""
        asked = self.body(ServerCheck)
        path = notebook_path(self.service.root, asked.path)
        document = msgspec.json.encode(asked.notebook).decode()

        def ask() -> Any:
            from studium.classroom.folder import check

            return check(path, asked.exercise, document)

        await self.reply(ask)


class RegradeHandler(DeskHandler):
    """Requests for a regrade."""

    @authenticated
    async def post(self) -> None:
        """Ask the instructors to mark an attempt again, and send the request as they get it."""
        asked = self.body(RegradeAsked)

        def ask() -> Any:
            from studium.classroom.panel import ask_regrade

            return ask_regrade(asked.course, asked.assignment, asked.attempt, asked.text)

        await self.reply(ask, 201)


class PageHandler(DeskHandler):
    """Links to boards and marking pages, for staff."""

    @authenticated
    async def post(self, kind: Literal["board", "mark"]) -> None:
        """Send a link that opens an assignment's page once, within minutes."""
        wanted = self.body(Assignment)

        def link() -> Any:
            from studium.classroom.panel import page

            return page(wanted.course, wanted.assignment, kind)

        await self.reply(link, 201)


class GradeHandler(DeskHandler):
    """Grading again, for instructors."""

    @authenticated
    async def post(self) -> None:
        """Have everybody's newest submission graded again, and send how many."""
        wanted = self.body(Assignment)

        def again() -> Any:
            from studium.classroom.panel import grade

            return grade(wanted.course, wanted.assignment)

        await self.reply(again, 202)


class ReleaseHandler(DeskHandler):
    """Releasing marks, for instructors."""

    @authenticated
    async def post(self) -> None:
        """Let students see their marks and feedback."""
        wanted = self.body(Assignment)

        def show() -> Any:
            from studium.classroom.panel import release

            return release(wanted.course, wanted.assignment)

        await self.reply(show)


class ExtendHandler(DeskHandler):
    """More time for one student, from instructors."""

    @authenticated
    async def post(self) -> None:
        """Let one student hand in later, and send both dates."""
        asked = self.body(MoreTime)

        def write() -> Any:
            from studium.classroom.panel import extend

            return extend(asked.course, asked.assignment, asked.student, asked.until, asked.reason)

        await self.reply(write)


class FeedbackHandler(DeskHandler):
    """Feedback pages."""

    @authenticated
    async def get(self, course: str, assignment: str, attempt: str, notebook: str) -> None:
        """Send a page in which no scripts run, because it contains students' text."""
        from studium.classroom.client import ClassroomError
        from studium.classroom.panel import feedback

        try:
            page = await asyncio.to_thread(feedback, course, assignment, int(attempt), notebook)
        except ClassroomError as error:
            raise HTTPError(error.status or 502, str(error).replace("%", "%%")) from error
        self.set_header("Content-Security-Policy", _PAGE_POLICY)
        self.finish(page, set_content_type="text/html; charset=utf-8")
