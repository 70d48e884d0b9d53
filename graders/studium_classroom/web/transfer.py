"""What nbgrader's own exchange needs beyond what students and staff ask for: all submissions, and new sources."""

import asyncio
import threading

from studium.classroom.archive import MOST_ARCHIVE, unpack
from studium.classroom.messages import Opened

from studium_classroom.courses import utc_now
from studium_classroom.releasing import release
from studium_classroom.roles import Role
from studium_classroom.web.base import ClassroomHandler, allowed

_one_release = threading.Lock()  # nbgrader makes one release at a time


class ReceivedHandler(ClassroomHandler):
    """All submissions."""

    @allowed(Role.TA)
    async def get(self, course: str, assignment: str) -> None:
        """Return the receipts of all submissions by the students you are responsible for, oldest first."""
        await self.reply(lambda: self.classroom.received(self.course(course), self.person, assignment))


class ArchiveHandler(ClassroomHandler):
    """A single submission."""

    @allowed(Role.TA)
    async def get(self, course: str, assignment: str, student: str, attempt: str) -> None:
        """Return the ZIP archive of one submission by a student you are responsible for."""
        found = await asyncio.to_thread(lambda: self._archive(course, assignment, student, int(attempt)))
        self.set_header("Content-Type", "application/zip")
        self.finish(found)

    def _archive(self, course: str, assignment: str, student: str, attempt: int) -> bytes:
        found = self.classroom.archive(self.course(course), self.person, assignment, student, attempt)
        self.note(course, "collect", f"{assignment} attempt {attempt} of {student}")
        return found


class SourceHandler(ClassroomHandler):
    """Assignments that an instructor releases remotely."""

    @allowed(Role.INSTRUCTOR, most=MOST_ARCHIVE)
    async def put(self, course: str, assignment: str) -> None:
        """Take in a ZIP archive of source/, with solutions and hidden tests, and build what students get from it."""
        archive, now = self.raw_body, utc_now()

        def make() -> Opened:
            folder = self.course(course)
            with _one_release:
                opens = release(folder.root, assignment, unpack(archive), now)
            self.note(course, "release source", assignment)
            return Opened(course, assignment, folder.handout(assignment).notebooks, opens)

        await self.reply(make)
