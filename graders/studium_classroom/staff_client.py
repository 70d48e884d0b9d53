"""A client of a course server for staff: submissions, sources, marking by hand."""

from studium.classroom.client import Client, path_of, quoted
from studium.classroom.connections import connection_of
from studium.classroom.messages import Opened, Receipt, Regrade

from studium_classroom.marking import AskedRegrade, Questions

_LONG = 300.0  # seconds


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

    def marking(self, course: str, assignment: str) -> Questions:
        """Return the questions of an assignment with answers for a person to mark."""
        return self.asked("GET", f"{path_of(course, assignment)}/marking", Questions)

    def regrades(self, course: str, assignment: str) -> list[AskedRegrade]:
        """Return the students' requests for a regrade, with their names."""
        return self.asked("GET", f"{path_of(course, assignment)}/marking/requests?names=1", list[AskedRegrade])

    def reply(self, course: str, assignment: str, request: int, text: str) -> Regrade:
        """Reply to a request for a regrade, or change the reply."""
        path = f"{path_of(course, assignment)}/marking/requests/{request}"
        return self.asked("PUT", path, Regrade, json={"text": text})


def staff_client(course: str) -> StaffClient:
    """Return a client of the course's server. Raise UsageError if the course was not joined."""
    connection = connection_of(course)
    return StaffClient(connection.url, connection.token)
