"""What nbgrader's own exchange needs beyond what students and staff ask for: all that came in, and new sources."""

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
    """All that was handed in."""

    @allowed(Role.TA)
    async def get(self, course: str, assignment: str) -> None:
        """Return the receipts of all submissions of the students whom you serve, the oldest first."""
        await self.reply(lambda: self.classroom.received(self.course(course), self.person, assignment))


class ArchiveHandler(ClassroomHandler):
    """One thing that was handed in."""

    @allowed(Role.TA)
    async def get(self, course: str, assignment: str, student: str, attempt: str) -> None:
        """Return the ZIP archive of one submission of a student whom you serve."""
        found = await asyncio.to_thread(lambda: self._archive(course, assignment, student, int(attempt)))
        self.set_header("Content-Type", "application/zip")
        self.finish(found)

    def _archive(self, course: str, assignment: str, student: str, attempt: int) -> bytes:
        found = self.classroom.archive(self.course(course), self.person, assignment, student, attempt)
        self.note(course, "collect", f"{assignment} attempt {attempt} of {student}")
        return found


class SourceHandler(ClassroomHandler):
    """Assignments that an instructor releases from afar."""

    @allowed(Role.INSTRUCTOR, most=MOST_ARCHIVE)
    async def put(self, course: str, assignment: str) -> None:
        """Take a ZIP archive of source/, with solutions and hidden tests, and make of it what students get."""
        archive, now = self.raw_body, utc_now()

        def make() -> Opened:
            folder = self.course(course)
            with _one_release:
                opens = release(folder.root, assignment, unpack(archive), now)
            self.note(course, "release source", assignment)
            return Opened(course, assignment, folder.handout(assignment).notebooks, opens)

        await self.reply(make)
