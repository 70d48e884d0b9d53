"""A course server, as a client sees it: one method for each thing that a student asks for."""

import re
from typing import Any, Self, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from studium.classroom.messages import (
    AssignmentView,
    BoardLink,
    CheckAnswer,
    CheckRequest,
    Invitation,
    Joined,
    Me,
    Receipt,
    Refusal,
)
from studium.errors import StudiumError

_QUICK, _LONG = 30.0, 300.0  # seconds
_TRIES = 3  # of a submission whose answer was lost: the server takes it once
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]+")
T = TypeVar("T")


class ClassroomError(StudiumError):
    """The course server refused, or did not answer. ``status`` is HTTP's, 0 where there was no answer."""

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
        """Change the secret of an invitation into a token; it works once."""
        return self.asked("POST", "join", Joined, json=Invitation(invitation))

    def me(self) -> Me:
        """Return who the token's owner is, and in which courses."""
        return self.asked("GET", "me", Me)

    def assignments(self, course: str) -> list[AssignmentView]:
        """Return the assignments of a course that have opened."""
        return self.asked("GET", f"courses/{quoted(course)}/assignments", list[AssignmentView])

    def handout(self, course: str, assignment: str) -> bytes:
        """Return the archive of an assignment as students get it."""
        return self.sent("GET", f"{path_of(course, assignment)}/handout", timeout=_LONG).content

    def submit(self, course: str, assignment: str, archive: bytes) -> Receipt:
        """Hand an archive in and return the receipt; where the answer is lost, ask again."""
        for left in reversed(range(_TRIES)):
            try:
                path = f"{path_of(course, assignment)}/submissions"
                return self.asked("POST", path, Receipt, content=archive, timeout=_LONG)
            except ClassroomError as error:
                if error.status or not left:
                    raise
        raise AssertionError  # the last try returns or raises

    def check(self, course: str, assignment: str, request: CheckRequest) -> CheckAnswer:
        """Have a notebook checked against all tests, those too that are on the server alone."""
        return self.asked("POST", f"{path_of(course, assignment)}/check", CheckAnswer, json=request, timeout=_LONG)

    def feedback(self, course: str, assignment: str, attempt: int, notebook: str) -> bytes:
        """Return a page of feedback, HTML."""
        return self.sent("GET", f"{path_of(course, assignment)}/feedback/{attempt}/{quoted(notebook)}").content

    def board(self, course: str, assignment: str) -> str:
        """Return a link that opens the board of an assignment once, within minutes."""
        link = self.asked("POST", f"courses/{quoted(course)}/board", BoardLink)
        return board_link(self.url, course, assignment, link.secret)

    def asked(self, method: str, path: str, form: type[T], *, json: Any = None, **options: Any) -> T:
        """Return the answer to a request as ``form``. Raise ClassroomError where it is a refusal, or none."""
        content = options.pop("content", None) if json is None else msgspec.json.encode(json)
        answer = self.sent(method, path, content=content, **options)
        try:
            return msgspec.json.decode(answer.content, type=form)
        except msgspec.MsgspecError as error:
            raise ClassroomError(f"{self.url} is no course server of this version: {error}; update Studium") from error

    def sent(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send a request and return the answer. Raise ClassroomError where it is a refusal, or none."""
        try:
            answer = self._http.request(method, path, **options)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            why = _plain(str(error)) or type(error).__name__
            raise ClassroomError(f"the course server {self.url} did not answer: {why}; try again later") from error
        if answer.is_success:
            return answer
        raise ClassroomError(_sentence(answer), answer.status_code)


def board_link(url: str, course: str, assignment: str, secret: str) -> str:
    """Return the address at which a browser opens the board; the secret stands where no server is sent it."""
    return f"{url}/board/{quoted(course)}/{quoted(assignment)}#{secret}"


def _sentence(answer: httpx.Response) -> str:
    """Return what a server says about a refusal; of another program's page nothing but the number."""
    try:
        return _plain(msgspec.json.decode(answer.content, type=Refusal).message)
    except msgspec.MsgspecError:
        return f"the course server answered with the error {answer.status_code}; try again later, or tell its operator"


def _plain(text: str) -> str:
    return _UNPRINTABLE.sub(" ", text)[:1000].strip()


def path_of(course: str, assignment: str) -> str:
    """Return what the addresses of an assignment begin with."""
    return f"courses/{quoted(course)}/assignments/{quoted(assignment)}"


def quoted(name: str) -> str:
    """Return a name as a part of an address."""
    return quote(name, safe="")
