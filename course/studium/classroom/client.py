"""The client of a course server, with a method for everything that a student, or the panel of the staff, asks for."""

import re
from typing import Any, Literal, Self, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from studium.classroom.messages import (
    AssignmentView,
    BoardLink,
    CheckAnswer,
    CheckRequest,
    Extended,
    Invitation,
    Joined,
    Me,
    Receipt,
    Refusal,
    Regrade,
    RegradeRequest,
)
from studium.errors import StudiumError

_QUICK, _LONG = 30.0, 300.0  # seconds
_TRIES = 3  # tries to send a submission whose answer was lost: the server accepts it only once
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]+")
T = TypeVar("T")


class ClassroomError(StudiumError):
    """The course server refused or did not answer. ``status`` is the HTTP status, or 0 if there was no answer."""

    def __init__(self, sentence: str, status: int = 0) -> None:
        super().__init__(sentence)
        self.status = status


class Client:
    """A connection to the server at ``url`` with somebody's token. A context manager."""

    def __init__(self, url: str, token: str = "", transport: httpx.BaseTransport | None = None) -> None:
        self.url = url.rstrip("/")
        headers = {"Authorization": f"token {token}"} if token else {}
        self._http = httpx.Client(base_url=f"{self.url}/api/", headers=headers, timeout=_QUICK, transport=transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def join(self, invitation: str) -> Joined:
        """Exchange an invitation's secret for a token; this works once."""
        return self.asked("POST", "join", Joined, json=Invitation(invitation))

    def me(self) -> Me:
        """Return the token's owner and their courses."""
        return self.asked("GET", "me", Me)

    def assignments(self, course: str) -> list[AssignmentView]:
        """Return a course's assignments that have opened."""
        return self.asked("GET", f"courses/{quoted(course)}/assignments", list[AssignmentView])

    def handout(self, course: str, assignment: str) -> bytes:
        """Return the archive of an assignment as students get it."""
        return self.sent("GET", f"{path_of(course, assignment)}/handout", timeout=_LONG).content

    def submit(self, course: str, assignment: str, archive: bytes) -> Receipt:
        """Hand in an archive and return the receipt; if the answer is lost, ask again."""
        for left in reversed(range(_TRIES)):
            try:
                path = f"{path_of(course, assignment)}/submissions"
                return self.asked("POST", path, Receipt, content=archive, timeout=_LONG)
            except ClassroomError as error:
                if error.status or not left:
                    raise
        raise AssertionError  # the last try returns or raises

    def check(self, course: str, assignment: str, request: CheckRequest) -> CheckAnswer:
        """Have a notebook checked against all tests, including those that only the server has."""
        return self.asked("POST", f"{path_of(course, assignment)}/check", CheckAnswer, json=request, timeout=_LONG)

    def feedback(self, course: str, assignment: str, attempt: int, notebook: str) -> bytes:
        """Return a feedback page as HTML."""
        return self.sent("GET", f"{path_of(course, assignment)}/feedback/{attempt}/{quoted(notebook)}").content

    def ask_regrade(self, course: str, assignment: str, attempt: int, text: str) -> Regrade:
        """Ask that the newest attempt is marked again."""
        asked = RegradeRequest(attempt, text)
        return self.asked("POST", f"{path_of(course, assignment)}/regrade", Regrade, json=asked)

    def board(self, course: str, assignment: str) -> str:
        """Return a link that opens an assignment's board once, within minutes."""
        link = self.asked("POST", f"courses/{quoted(course)}/board", BoardLink)
        return page_link(self.url, "board", course, assignment, link.secret)

    def marking_page(self, course: str, assignment: str) -> str:
        """Return a link that opens the page on which an assignment is marked, once, within minutes."""
        link = self.asked("POST", f"courses/{quoted(course)}/mark", BoardLink)
        return page_link(self.url, "mark", course, assignment, link.secret)

    def grade(self, course: str, assignment: str) -> int:
        """Have everybody's newest submission graded again; return how many."""
        return self.asked("POST", f"{path_of(course, assignment)}/grade", dict[str, int])["waiting"]

    def release(self, course: str, assignment: str) -> None:
        """Let students see their marks and feedback."""
        self.sent("POST", f"{path_of(course, assignment)}/release")

    def extend(self, course: str, student: str, assignment: str, until: str, reason: str) -> Extended:
        """Let one student hand in later."""
        asked = {"student": student, "assignment": assignment, "until": until, "reason": reason}
        return self.asked("PUT", f"courses/{quoted(course)}/extensions", Extended, json=asked)

    def asked(self, method: str, path: str, form: type[T], *, json: Any = None, **options: Any) -> T:
        """Return the answer to a request as ``form``. Raise ClassroomError if it is refused or not answered."""
        content = options.pop("content", None) if json is None else msgspec.json.encode(json)
        answer = self.sent(method, path, content=content, **options)
        try:
            return msgspec.json.decode(answer.content, type=form)
        except msgspec.MsgspecError as error:
            raise ClassroomError(
                f"{self.url} is not a course server of this version: {error}; update Studium"
            ) from error

    def sent(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send a request and return the answer. Raise ClassroomError if it is refused or not answered."""
        try:
            answer = self._http.request(method, path, **options)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            why = _plain(str(error)) or type(error).__name__
            raise ClassroomError(f"the course server {self.url} did not answer: {why}; try again later") from error
        if answer.is_success:
            return answer
        raise ClassroomError(_sentence(answer), answer.status_code)


def page_link(url: str, page: Literal["board", "mark"], course: str, assignment: str, secret: str) -> str:
    """Return the address where a browser opens a page; the secret is in a part that is never sent to a server."""
    return f"{url}/{page}/{quoted(course)}/{quoted(assignment)}#{secret}"


def _sentence(answer: httpx.Response) -> str:
    """Return the server's reason for a refusal; for another program's page, only its status code."""
    try:
        return _plain(msgspec.json.decode(answer.content, type=Refusal).message)
    except msgspec.MsgspecError:
        return f"the course server answered with the error {answer.status_code}; try again later, or tell its operator"


def _plain(text: str) -> str:
    return _UNPRINTABLE.sub(" ", text)[:1000].strip()


def path_of(course: str, assignment: str) -> str:
    """Return the start of an assignment's addresses."""
    return f"courses/{quoted(course)}/assignments/{quoted(assignment)}"


def quoted(name: str) -> str:
    """Return a name in the form used inside an address."""
    return quote(name, safe="")
