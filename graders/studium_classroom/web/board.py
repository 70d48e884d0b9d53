"""The board: the state of a class, live. Its page is empty, and reads what it shows with the session of its link."""

import asyncio
from contextlib import suppress

from studium.classroom.messages import BoardLink
from tornado.iostream import StreamClosedError

from studium_classroom.roles import Role
from studium_classroom.web.base import ClassroomHandler, EmptyPageHandler, allowed


class PageHandler(EmptyPageHandler):
    """The page of a board."""

    @allowed(None)
    async def get(self, course: str, assignment: str) -> None:
        """Return the page, the same for every address: it contains nothing about a course."""
        await self.show("board")


class InvitationHandler(EmptyPageHandler):
    """The page that the link of an invitation opens in a browser."""

    @allowed(None)
    async def get(self) -> None:
        """Return a page with the command that joins: the invitation stands behind the #, where no server sees it."""
        await self.show("join")


class OpenHandler(ClassroomHandler):
    """Links to boards."""

    @allowed(None)
    async def post(self) -> None:
        """Exchange the secret of a board's link for a session that reads the boards of its course; it works once."""
        secret = self.body(BoardLink).secret
        await self.reply(lambda: self.classroom.boards.open(secret), 201)


class LinkHandler(ClassroomHandler):
    """New links to boards."""

    @allowed(Role.TA)
    async def post(self, course: str) -> None:
        """Return the secret of a link `/board/COURSE/ASSIGNMENT#SECRET`, which opens a board once in five minutes."""

        def link() -> BoardLink:
            self.note(course, "open a board")
            return BoardLink(self.classroom.boards.link(course, self.person.name, self.person.places[course]))

        await self.reply(link, 201)


class StatusHandler(ClassroomHandler):
    """The state of an assignment."""

    @allowed(Role.TA, board=True)
    async def get(self, course: str, assignment: str) -> None:
        """Return what needs you, each student's mark and standing in each exercise, and the mistakes by exercise."""
        await self.reply(lambda: self.classroom.status(self.course(course), self.person, assignment))


class HistoryHandler(ClassroomHandler):
    """One student's path through one exercise."""

    @allowed(Role.TA, board=True)
    async def get(self, course: str, assignment: str, student: str, exercise: str) -> None:
        """Return what checks and grading found in one exercise of a student, newest first."""
        folder, person = self.course(course), self.person
        await self.reply(lambda: self.classroom.history(folder, person, assignment, student, exercise))


class LiveHandler(ClassroomHandler):
    """The state of an assignment as it changes."""

    @allowed(Role.TA, board=True)
    async def get(self, course: str, assignment: str) -> None:
        """Send the whole status as server-sent events at each change, for five minutes; then connect again."""
        await asyncio.to_thread(self.require_assignment, course, assignment)
        self.set_header("Content-Type", "text/event-stream; charset=utf-8")
        self.set_header("X-Accel-Buffering", "no")  # otherwise nginx buffers events
        with suppress(StreamClosedError):
            async for status in self.classroom.live.follow(course, assignment, self.person.places[course]):
                self.write(b"data: %b\n\n" % status if status else b":\n\n")
                await self.flush()
