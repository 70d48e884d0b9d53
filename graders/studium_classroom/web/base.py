"""What all addresses share: who is asking, whether they may, how much is read, how a refusal is sent.

Nothing is allowed by default: a verb without ``@allowed`` is refused to everybody.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar
from urllib.parse import urlsplit

import msgspec
from studium.classroom.archive import ArchiveError
from studium.classroom.messages import BoardLink, CheckRequest, Invitation, Receipt, Refusal, RegradeRequest
from studium.errors import CourseError, StudiumError, UsageError
from studium_graders.marking.errors import HeldError
from tornado.web import HTTPError, RequestHandler, stream_request_body

from studium_classroom.classroom import Classroom
from studium_classroom.courses import CourseFolder, utc_now
from studium_classroom.guesses import Guesses
from studium_classroom.members import InvitationError
from studium_classroom.people import Authentication
from studium_classroom.refusals import RefusedError, TooManyError
from studium_classroom.roles import Person, Role
from studium_classroom.web.marking_requests import ItemRequest, MarkRequest, NextRequest, OpenRequest, ReplyRequest

if TYPE_CHECKING:
    from studium_classroom.board.page import Page

SMALL = 1 << 16  # bytes of a short body
_MOST_DIGITS = 18  # digits of a length
_STATUS: dict[type[StudiumError], int] = {
    TooManyError: 429,
    RefusedError: 403,
    InvitationError: 403,
    ArchiveError: 400,
    UsageError: 404,
    HeldError: 409,
    CourseError: 400,
}
_log = logging.getLogger(__name__)
T = TypeVar("T")
Verb = Callable[..., Awaitable[None]]


class ExtensionRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A later date for one student; ``until`` in ISO 8601, in the course's time zone unless it names one."""

    student: str
    assignment: str
    until: str
    reason: str = ""


class MemberRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A person to invite."""

    user: str
    role: str = "student"
    section: str = ""


# Created here and not in threads, where msgspec may crash the process.
_DECODERS: dict[type, msgspec.json.Decoder[Any]] = {
    form: msgspec.json.Decoder(form)
    for form in (
        *(BoardLink, CheckRequest, Invitation, Receipt, ExtensionRequest, MemberRequest),
        *(NextRequest, OpenRequest, MarkRequest, ItemRequest, RegradeRequest, ReplyRequest),
    )
}


class Rule(msgspec.Struct, frozen=True):
    """Who may use a verb, the largest body in bytes, and whether the session of a page may, a board's or a marking
    page's; the role None means anybody.
    """

    role: Role | None
    most: int
    board: bool
    mark: bool = False


def allowed(role: Role | None, *, most: int = SMALL, board: bool = False, mark: bool = False) -> Callable[[Verb], Verb]:
    """Let members of the course with this role or a higher one use a verb; None lets anybody.

    ``most`` is the largest body in bytes. With ``board`` or ``mark``, the session of such a page may use it too.
    """

    def ruled(verb: Verb) -> Verb:
        vars(verb)["rule"] = Rule(role, most, board, mark)
        return verb

    return ruled


def rule_of(handler: type[RequestHandler], verb: str) -> Rule | None:
    """Return who may use a verb of a handler, or None if nobody may."""
    found: Rule | None = getattr(getattr(handler, verb, None), "rule", None)
    return found


KNOWN = Role.STUDENT  # for an address outside any course: somebody with a token


@stream_request_body
class ClassroomHandler(RequestHandler):
    """A handler of the course server."""

    def initialize(self, classroom: Classroom, authentication: Authentication, guesses: Guesses) -> None:
        """Store what all handlers share."""
        self.classroom, self.authentication, self._guesses = classroom, authentication, guesses
        self.person = Person("", {})
        self._body, self._size = bytearray(), 0

    def set_default_headers(self) -> None:
        """Forbid browsers to cache, frame, sniff or run what is sent."""
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Referrer-Policy", "no-referrer")
        self.set_header("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; sandbox")

    def check_xsrf_cookie(self) -> None:
        """Do nothing: cookies identify nobody here, so a page of another site has nothing to exploit."""

    async def prepare(self) -> None:
        """Refuse a request that is not allowed, before its body is read."""
        rule = rule_of(type(self), (self.request.method or "").lower())
        if rule is None:
            raise HTTPError(405, "this address does not support that method")
        self.refuse_other_sites()
        self._most = rule.most
        if self._announced() > self._most:
            self._refuse_size()
        if rule.role is None:
            return
        self.person = await self._who(rule)
        if course := self.path_kwargs.get("course"):
            await self._require(course, rule.role)

    def _announced(self) -> int:
        """Return how many bytes the header announces, 0 if it does not; raise 400 if that is not a number."""
        said = self.request.headers.get("Content-Length", "0")
        if said.isascii() and said.isdigit() and len(said) <= _MOST_DIGITS:
            return int(said)
        self.set_header("Connection", "close")
        raise HTTPError(
            400, f"a Content-Length must be a single number: got {said[:60]!a}; send it again".replace("%", "%%")
        )

    def data_received(self, chunk: bytes) -> None:
        """Take a part of the body; if the body is too large, nothing is kept."""
        self._size += len(chunk)
        if self._size <= self._most:
            self._body += chunk
        else:
            self._body.clear()

    def _refuse_size(self) -> NoReturn:
        self.set_header("Connection", "close")
        raise HTTPError(413, f"the body may have at most {self._most >> 10} KB here; send less")

    def refuse_other_sites(self) -> None:
        """Refuse what a browser sends for another site's page, though that could not send a token anyway."""
        site, origin = self.request.headers.get("Sec-Fetch-Site", ""), self.request.headers.get("Origin", "")
        if site in ("cross-site", "same-site") or (origin and urlsplit(origin).netloc != self.request.host):
            raise HTTPError(403, "pages of other sites may not send requests here; use studium, or the panel")

    async def _who(self, rule: Rule) -> Person:
        scheme, _, token = self.request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "board":
            return await self._at_the_board(token.strip(), rule)
        if scheme.lower() == "mark":
            return await self._at_the_marking_page(token.strip(), rule)
        if scheme.lower() not in ("token", "bearer") or not token:
            raise HTTPError(401, "a token is needed; join with your invitation link: studium courses --join LINK")
        with self.guessing(token.strip()):
            person = await self.authentication.person(token.strip())
            if person is not None:
                return person
            raise HTTPError(
                401, "this server does not know the token, or no longer accepts it; ask for another invitation"
            )

    @contextmanager
    def guessing(self, secret: str) -> Iterator[None]:
        """Refuse to look up a secret if many others from this address have failed, and record the outcome."""
        address = self.request.remote_ip or ""
        if not self._guesses.may_try(address, secret):
            raise HTTPError(429, "too many tokens from your address have failed; wait a minute, then use your own")
        try:
            yield
        except (HTTPError, InvitationError) as error:
            if getattr(error, "status_code", 401) == 401:  # a hub that does not answer proves nothing about the token
                self._guesses.failed(address, secret)
            raise
        self._guesses.worked(secret)

    async def _at_the_board(self, token: str, rule: Rule) -> Person:
        person = await asyncio.to_thread(self.classroom.boards.person, token)
        if person is None:
            raise HTTPError(
                401, "the board has been open for 8 hours, or its owner's role has changed; open another one"
            )
        if not rule.board:
            raise HTTPError(403, "a board's session can only read the board; use your token here")
        return person

    async def _at_the_marking_page(self, token: str, rule: Rule) -> Person:
        person = await asyncio.to_thread(self.classroom.marking_pages.person, token)
        if person is None:
            raise HTTPError(
                401, "the marking page has been open for 8 hours, or its owner's role has changed; open another one"
            )
        if not rule.mark:
            raise HTTPError(403, "a marking page's session can only mark by hand; use your token here")
        return person

    async def _require(self, course: str, role: Role) -> None:
        """Refuse a user with a lesser role in the course, or none, without revealing whether the course exists."""
        place = self.person.places.get(course)
        if place and place.role >= role and course in self.classroom.courses:
            return
        if place:
            await asyncio.to_thread(self.note, course, self.request.method or "", self.request.path, refused=True)
            raise HTTPError(403, f"the role {role.label} in {course} is needed, but yours is {place.role.label}")
        raise HTTPError(403, f"you are not a member of a course {course[:60]!a} here; ask its instructor to invite you")

    def require_invitations(self) -> None:
        """Refuse an invitation on a hub, where it would outlast the membership of a group."""
        if not self.authentication.invites:
            raise HTTPError(403, "here a JupyterHub decides who is in a course; ask its operator for a group")

    def note(self, course: str, action: str, subject: str = "", *, refused: bool = False) -> None:
        """Add a line to the audit log."""
        self.classroom.audit.note(course, self.person.name, action, subject, refused=refused)

    def course(self, course: str) -> CourseFolder:
        """Return the folder of a course that the person belongs to."""
        return self.classroom.courses[course]

    def require_assignment(self, course: str, assignment: str) -> None:
        """Raise UnknownNameError for an assignment that the person may not see."""
        self.course(course).assignment(assignment, self.person.places[course].role, utc_now())

    def body(self, form: type[T]) -> T:
        """Return the body as ``form``; raise 400 with a sentence if it is something else."""
        try:
            found: T = _DECODERS[form].decode(self.raw_body)
        except (msgspec.DecodeError, RecursionError) as error:
            raise HTTPError(
                400, f"the body is not what this address expects: {str(error).replace('%', '%%')}"
            ) from None
        return found

    @property
    def raw_body(self) -> bytes:
        """The body as it came; raise 413 if it was larger than the header announced."""
        if self._size > self._most:
            self._refuse_size()
        return bytes(self._body)

    async def reply(self, work: Callable[[], Any], status: int = 200) -> None:
        """Do work in a thread and send the result as JSON."""
        self.send(await asyncio.to_thread(work), status)

    def send(self, value: Any, status: int = 200) -> None:
        """Send a value as JSON."""
        self.set_status(status)
        self.set_header("Content-Type", "application/json; charset=utf-8")
        self.finish(msgspec.json.encode(value))

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Send one sentence; an unexpected error gets no details."""
        error = (kwargs.get("exc_info") or (None, None))[1]
        sentence = "the request failed; nothing was changed, and the server's log has the details"
        if isinstance(error, StudiumError):
            self.set_status(next((code for kind, code in _STATUS.items() if isinstance(error, kind)), 400))
            sentence = str(error)
        elif isinstance(error, HTTPError) and status_code < 500:  # the error of an unreachable hub is not described
            sentence = (error.log_message or error.reason or sentence).replace("%%", "%")
        elif status_code == 404:
            sentence = "this address does not exist"
        self.set_header("Content-Type", "application/json; charset=utf-8")
        self.finish(msgspec.json.encode(Refusal(sentence)))

    def log_exception(self, kind: Any, error: Any, trace: Any) -> None:
        """Log unexpected errors with a traceback, and refusals not at all."""
        if not isinstance(error, StudiumError | HTTPError):
            super().log_exception(kind, error, trace)


class EmptyPageHandler(ClassroomHandler):
    """Pages that say nothing of a course."""

    def refuse_other_sites(self) -> None:
        """Let links from anywhere lead here: the page is empty, and no other page may frame or script it."""

    async def show(self, name: str) -> None:
        """Send a page and the policy that lets only its scripts run."""
        page = await asyncio.to_thread(_page, name)
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.set_header("Content-Security-Policy", page.policy)
        self.set_header("Cross-Origin-Opener-Policy", "same-origin")
        self.finish(page.html)


def _page(name: str) -> "Page":
    from studium_classroom.board.page import page  # here: a server that shows no page needs no templates

    return page(name)


class UnknownHandler(ClassroomHandler):
    """The handler for every unknown address."""

    async def prepare(self) -> None:
        """Refuse the request."""
        raise HTTPError(404, "this address does not exist; see docs/classroom-api.md")
