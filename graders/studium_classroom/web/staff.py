"""What staff can ask for. A TA with a section sees only that section; only instructors change things."""

import asyncio
from datetime import datetime

from studium.errors import UsageError
from studium_graders.grading.late.extensions import extend

from studium_classroom.class_roster import roster_of
from studium_classroom.members import require_user
from studium_classroom.refusals import RefusedError
from studium_classroom.roles import Place, Role
from studium_classroom.web.base import ClassroomHandler, ExtensionRequest, MemberRequest, allowed


class MembersHandler(ClassroomHandler):
    """The roster of a course."""

    @allowed(Role.TA)
    async def get(self, course: str) -> None:
        """Return the members that were invited or put on the roster, and the students of the class list."""
        place = self.person.places[course]

        def seen() -> list[object]:
            roster = roster_of(self.course(course), self.classroom.members)
            return [one for one in roster if place.sees(one.section)]

        await self.reply(seen)

    @allowed(Role.INSTRUCTOR)
    async def post(self, course: str) -> None:
        """Invite somebody and return the secret (not on a hub); only an owner invites instructors and owners."""
        self.require_invitations()
        asked = self.body(MemberRequest)
        place = Place(Role.named(asked.role), asked.section[:100])
        own = self.person.places[course].role
        if place.role >= Role.INSTRUCTOR and own < Role.OWNER:
            await asyncio.to_thread(self.note, course, "invite", f"{asked.user} as {asked.role}", refused=True)
            raise RefusedError(f"only an owner of {course} can invite somebody as {place.role.label}")

        def invite() -> dict[str, str]:
            require_user(asked.user)
            secret = self.classroom.members.invite(course, asked.user, place)
            self.note(course, "invite", f"{asked.user} as {place.role.label}")
            return {"user": asked.user, "invitation": secret}

        await self.reply(invite, 201)


class ExtensionsHandler(ClassroomHandler):
    """Later dates."""

    @allowed(Role.INSTRUCTOR)
    async def put(self, course: str) -> None:
        """Let one student hand in later; this is written into course.toml."""
        asked = self.body(ExtensionRequest)

        def write() -> dict[str, object]:
            require_user(asked.student)
            done = extend(self.course(course).root, asked.student, asked.assignment, _time(asked.until), asked.reason)
            self.note(course, "extend", f"{asked.student} {asked.assignment} until {done.until.isoformat()}")
            return {"due": done.due, "until": done.until}

        await self.reply(write)


class GradeHandler(ClassroomHandler):
    """Grading again."""

    @allowed(Role.INSTRUCTOR)
    async def post(self, course: str, assignment: str) -> None:
        """Grade the newest submission of each student again, after the assignment or a mark by hand has changed."""

        def again() -> dict[str, int]:
            self.require_assignment(course, assignment)
            number = self.classroom.submissions.grade_again(course, assignment)
            self.note(course, "grade again", f"{assignment}: {number}")
            return {"waiting": number}

        await self.reply(again, 202)
        self.classroom.line.wake()
        self.classroom.live.changed(course, assignment)


class ReleaseHandler(ClassroomHandler):
    """Marks waiting to be shown."""

    @allowed(Role.INSTRUCTOR)
    async def post(self, course: str, assignment: str) -> None:
        """Let students see the marks and the feedback, in a course that shows them when released."""

        def release() -> dict[str, bool]:
            self.require_assignment(course, assignment)
            self.classroom.releases.add(course, assignment)
            self.note(course, "release", assignment)
            return {"released": True}

        await self.reply(release)


class AuditHandler(ClassroomHandler):
    """The audit log."""

    @allowed(Role.OWNER)
    async def get(self, course: str) -> None:
        """Return the last thousand lines of the log: who did, or tried to do, what."""
        await self.reply(lambda: self.classroom.audit.of(course))


def _time(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"a date and time is needed, such as 2026-12-20T23:59: got {text[:60]!a}") from None
