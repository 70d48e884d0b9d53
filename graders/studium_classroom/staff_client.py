"""A client of a course server for staff: submissions, sources, releases."""

from datetime import datetime

import msgspec
from studium.classroom.client import Client, path_of, quoted
from studium.classroom.connections import connection_of
from studium.classroom.messages import BoardLink, Opened, Receipt

from studium_classroom.marking import Questions

_LONG = 300.0  # seconds


class Extension(msgspec.Struct, frozen=True):
    """When work is due for everybody, and for one student."""

    due: datetime
    until: datetime


class StaffClient(Client):
    """A connection with a staff member's token. A context manager."""

    def received(self, course: str, assignment: str) -> list[Receipt]:
        """Return the receipts of all submissions by the students that the token's owner is responsible for."""
        return self.asked("GET", f"{path_of(course, assignment)}/received", list[Receipt])

    def archive(self, receipt: Receipt) -> bytes:
        """Return the archive that a receipt is for."""
        path = f"{path_of(receipt.course, receipt.assignment)}/received/{quoted(receipt.student)}/{receipt.attempt}"
        return self.sent("GET", path, timeout=_LONG).content

    def put_source(self, course: str, assignment: str, archive: bytes) -> Opened:
        """Send an assignment with its solutions and hidden tests; the server makes what students get from it."""
        return self.asked("PUT", f"{path_of(course, assignment)}/source", Opened, content=archive, timeout=_LONG)

    def grade(self, course: str, assignment: str) -> int:
        """Have everybody's newest submission graded again; return how many."""
        return self.asked("POST", f"{path_of(course, assignment)}/grade", dict[str, int])["waiting"]

    def extend(self, course: str, student: str, assignment: str, until: str, reason: str) -> Extension:
        """Let one student hand in later."""
        asked = {"student": student, "assignment": assignment, "until": until, "reason": reason}
        return self.asked("PUT", f"courses/{quoted(course)}/extensions", Extension, json=asked)

    def release(self, course: str, assignment: str) -> None:
        """Let students see their marks and feedback."""
        self.sent("POST", f"{path_of(course, assignment)}/release")

    def marking(self, course: str, assignment: str) -> Questions:
        """Return the questions of an assignment with answers for a person to mark."""
        return self.asked("GET", f"{path_of(course, assignment)}/marking", Questions)

    def marking_page(self, course: str, assignment: str) -> str:
        """Return a link that opens the page on which an assignment is marked, once, within minutes."""
        link = self.asked("POST", f"courses/{quoted(course)}/mark", BoardLink)
        return marking_link(self.url, course, assignment, link.secret)


def marking_link(url: str, course: str, assignment: str, secret: str) -> str:
    """Return the address where a browser opens the marking page; the secret is in a part that no server is sent."""
    return f"{url}/mark/{quoted(course)}/{quoted(assignment)}#{secret}"


def staff_client(course: str) -> StaffClient:
    """Return a client of the course's server. Raise UsageError if the course was not joined."""
    connection = connection_of(course)
    return StaffClient(connection.url, connection.token)
