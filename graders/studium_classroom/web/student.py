"""What students can ask for: courses, hand-outs, checks, submissions, marks and feedback. Only their own."""

import asyncio

from studium.classroom.archive import MOST_ARCHIVE
from studium.classroom.messages import CheckRequest, Invitation, Me, Membership, Receipt, RegradeRequest
from tornado.web import HTTPError

from studium_classroom.courses import utc_now
from studium_classroom.roles import Role
from studium_classroom.web.base import KNOWN, ClassroomHandler, allowed

_MOST_NOTEBOOK = 16 << 20  # bytes of one notebook that is checked
_PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; sandbox"


class HealthHandler(ClassroomHandler):
    """Whether the server is running."""

    @allowed(None)
    async def get(self) -> None:
        """Answer that the server is running, and nothing else."""
        self.send({"classroom": "studium"})


class JoinHandler(ClassroomHandler):
    """Invitations."""

    @allowed(None)
    async def post(self) -> None:
        """Exchange an invitation for a token of one member of one course; it works once, and not on a hub."""
        self.require_invitations()
        invitation = self.body(Invitation).invitation
        with self.guessing(invitation):
            await self.reply(lambda: self.classroom.members.join(invitation), 201)


class MeHandler(ClassroomHandler):
    """Who is asking."""

    @allowed(KNOWN)
    async def get(self) -> None:
        """Return who you are, and your courses."""
        places = [item for item in sorted(self.person.places.items()) if item[0] in self.classroom.courses]
        courses = [
            Membership(course, self.course(course).course.title or course, place.role.label, place.section)
            for course, place in places
        ]
        self.send(Me(self.person.name, courses))


class AssignmentsHandler(ClassroomHandler):
    """The assignments of a course."""

    @allowed(Role.STUDENT)
    async def get(self, course: str) -> None:
        """Return the assignments that have opened, with your dates, attempts, receipts and marks."""
        await self.reply(lambda: self.classroom.assignments(self.course(course), self.person, utc_now()))


class HandoutHandler(ClassroomHandler):
    """What is handed out."""

    @allowed(Role.STUDENT)
    async def get(self, course: str, assignment: str) -> None:
        """Return a ZIP archive of the assignment as students get it, without solutions and hidden tests."""
        folder, role = self.course(course), self.person.places[course].role
        found = folder.handout(folder.assignment(assignment, role, utc_now()).name)
        self.set_header("Content-Type", "application/zip")
        self.finish(found.archive)


class SubmissionsHandler(ClassroomHandler):
    """What was handed in."""

    @allowed(Role.STUDENT, most=MOST_ARCHIVE)
    async def post(self, course: str, assignment: str) -> None:
        """Take in a ZIP archive of your folder and return a receipt; the same archive again gets the same receipt."""
        archive, now = self.raw_body, utc_now()
        self.send(await self.classroom.hand_in(self.course(course), self.person, assignment, archive, now), 201)
        self.classroom.line.wake()
        self.classroom.live.changed(course, assignment)


class CheckHandler(ClassroomHandler):
    """Checks against the hidden tests, which stay here."""

    @allowed(Role.STUDENT, most=_MOST_NOTEBOOK)
    async def post(self, course: str, assignment: str) -> None:
        """Check a notebook against all tests: your own tests in words, hidden ones by number, the mistake by name."""
        asked = self.body(CheckRequest)
        self.send(await self.classroom.check(self.course(course), self.person, assignment, asked))


class FeedbackHandler(ClassroomHandler):
    """Feedback pages."""

    @allowed(Role.STUDENT)
    async def get(self, course: str, assignment: str, attempt: str, notebook: str) -> None:
        """Return the page on a notebook of one of your attempts, as HTML in which no scripts run."""
        folder = self.course(course)

        def page() -> bytes:
            return self.classroom.feedback(folder, self.person.name, assignment, int(attempt), notebook)

        found = await asyncio.to_thread(page)
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.set_header("Content-Security-Policy", _PAGE_POLICY)
        self.finish(found)


class AskRegradeHandler(ClassroomHandler):
    """Requests for a regrade."""

    @allowed(Role.STUDENT)
    async def post(self, course: str, assignment: str) -> None:
        """Ask that your newest attempt is marked again, once for each attempt, after you have seen its mark."""
        asked, folder = self.body(RegradeRequest), self.course(course)

        def ask() -> object:
            done = self.classroom.ask_regrade(folder, self.person.name, assignment, asked)
            self.note(course, "ask for a regrade", f"{assignment} attempt {asked.attempt}")
            return done

        await self.reply(ask, 201)
        self.classroom.live.changed(course, assignment)


class ReceiptsHandler(ClassroomHandler):
    """Receipts."""

    @allowed(Role.STUDENT)
    async def post(self, course: str) -> None:
        """Return whether a receipt is genuine: students ask about their own, staff about anybody's."""
        receipt = self.body(Receipt)
        own = receipt.student == self.person.name or self.person.places[course].role > Role.STUDENT
        genuine = self.classroom.seal.is_genuine(receipt) or self.classroom.submissions.has(receipt)
        if receipt.course != course or not own or not genuine:
            raise HTTPError(403, "this is not a receipt that this course gave you, so nothing can be said about it")
        self.send({"genuine": True})
