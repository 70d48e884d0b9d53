"""What all addresses share: who asks, whether that person may, how much is read, how a refusal is told.

Nothing is allowed by default: a verb without ``@allowed`` is refused to everybody.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn, TypeVar
from urllib.parse import urlsplit

import msgspec
from studium.classroom.archive import ArchiveError
from studium.classroom.messages import BoardLink, CheckRequest, Invitation, Receipt, Refusal
from studium.errors import CourseError, StudiumError, UsageError
from tornado.web import HTTPError, RequestHandler, stream_request_body

from studium_classroom.classroom import Classroom
from studium_classroom.courses import CourseFolder, utc_now
from studium_classroom.guesses import Guesses
from studium_classroom.members import InvitationError
from studium_classroom.people import Authentication
from studium_classroom.refusals import RefusedError, TooManyError
from studium_classroom.roles import Person, Role

SMALL = 1 << 16  # bytes of a body that is a few words
_MOST_DIGITS = 18  # of a length
_STATUS: dict[type[StudiumError], int] = {
    TooManyError: 429,
    RefusedError: 403,
    InvitationError: 403,
    ArchiveError: 400,
    UsageError: 404,
    CourseError: 400,
}
_log = logging.getLogger(__name__)
T = TypeVar("T")
Verb = Callable[..., Awaitable[None]]


class ExtensionRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A later date for one student; ``until`` as ISO 8601, in the course's time zone where it names none."""

    student: str
    assignment: str
    until: str
    reason: str = ""


class MemberRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A person to be invited."""

    user: str
    role: str = "student"
    section: str = ""


# Made here and not in threads, where msgspec may end the process.
_DECODERS: dict[type, msgspec.json.Decoder[Any]] = {
    form: msgspec.json.Decoder(form)
    for form in (BoardLink, CheckRequest, Invitation, Receipt, ExtensionRequest, MemberRequest)
}


class Rule(msgspec.Struct, frozen=True):
    """Who may use a verb, the largest body in bytes, and whether a board may; the role None is anybody."""

    role: Role | None
    most: int
    board: bool


def allowed(role: Role | None, *, most: int = SMALL, board: bool = False) -> Callable[[Verb], Verb]:
    """Let members of the course with this role or a higher one use a verb; None lets anybody.

    ``most`` is the largest body in bytes. ``board`` lets them use it with the session of a board, too.
    """

    def mark(verb: Verb) -> Verb:
        vars(verb)["rule"] = Rule(role, most, board)
        return verb

    return mark


def rule_of(handler: type[RequestHandler], verb: str) -> Rule | None:
    """Return who may use a verb of a handler, None where nobody may."""
    found: Rule | None = getattr(getattr(handler, verb, None), "rule", None)
    return found


KNOWN = Role.STUDENT  # where an address is in no course: somebody with a token


@stream_request_body
class ClassroomHandler(RequestHandler):
    """A handler of the course server."""

    def initialize(self, classroom: Classroom, authentication: Authentication, guesses: Guesses) -> None:
        """Take what all handlers share."""
        self.classroom, self.authentication, self._guesses = classroom, authentication, guesses
        self.person = Person("", {})
        self._body, self._size = bytearray(), 0

    def set_default_headers(self) -> None:
        """Let no browser keep, frame, sniff or run what is sent."""
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Referrer-Policy", "no-referrer")
        self.set_header("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; sandbox")

    def check_xsrf_cookie(self) -> None:
        """Do nothing: no cookie says who asks, so that a page of another site has nothing to make use of."""

    async def prepare(self) -> None:
        """Refuse, before its body is read, a request that is not allowed."""
        rule = rule_of(type(self), (self.request.method or "").lower())
        if rule is None:
            raise HTTPError(405, "this address has no such method")
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
        """Return how many bytes the head says that the body has, 0 where it says nothing; raise 400 for no number."""
        said = self.request.headers.get("Content-Length", "0")
        if said.isascii() and said.isdigit() and len(said) <= _MOST_DIGITS:
            return int(said)
        self.set_header("Connection", "close")
        raise HTTPError(400, f"a Content-Length is one number: got {said[:60]!a}; send it again".replace("%", "%%"))

    def data_received(self, chunk: bytes) -> None:
        """Take a part of the body; of one that is too large nothing is kept."""
        self._size += len(chunk)
        if self._size <= self._most:
            self._body += chunk
        else:
            self._body.clear()

    def _refuse_size(self) -> NoReturn:
        self.set_header("Connection", "close")
        raise HTTPError(413, f"the body has {self._most >> 10} KB at most here; send less")

    def refuse_other_sites(self) -> None:
        """Refuse what a browser sends for a page of another site, though it could not send a token with it."""
        site, origin = self.request.headers.get("Sec-Fetch-Site", ""), self.request.headers.get("Origin", "")
        if site in ("cross-site", "same-site") or (origin and urlsplit(origin).netloc != self.request.host):
            raise HTTPError(403, "a page of another site may not ask here; use studium, or the panel")

    async def _who(self, rule: Rule) -> Person:
        scheme, _, token = self.request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "board":
            return await self._at_the_board(token.strip(), rule)
        if scheme.lower() not in ("token", "bearer") or not token:
            raise HTTPError(
                401, "a token is needed; join with the link of your invitation: studium courses --join LINK"
            )
        with self.guessing(token.strip()):
            person = await self.authentication.person(token.strip())
            if person is not None:
                return person
            raise HTTPError(401, "the token is none of this server's, or no more; ask for another invitation")

    @contextmanager
    def guessing(self, secret: str) -> Iterator[None]:
        """Refuse to look a secret up where many others of this address have failed, and take note of what comes out."""
        address = self.request.remote_ip or ""
        if not self._guesses.may_try(address, secret):
            raise HTTPError(429, "many tokens from your address have failed; wait a minute, and use your own")
        try:
            yield
        except (HTTPError, InvitationError) as error:
            if getattr(error, "status_code", 401) == 401:  # a hub that does not answer says nothing of the token
                self._guesses.failed(address, secret)
            raise
        self._guesses.worked(secret)

    async def _at_the_board(self, token: str, rule: Rule) -> Person:
        person = await asyncio.to_thread(self.classroom.boards.person, token)
        if person is None:
            raise HTTPError(401, "the board was open for 8 hours, or its owner's place has changed; open another one")
        if not rule.board:
            raise HTTPError(403, "the session of a board reads the board alone; use your token here")
        return person

    async def _require(self, course: str, role: Role) -> None:
        """Refuse a user with a lesser role in the course, or none; whether the course exists is not said."""
        place = self.person.places.get(course)
        if place and place.role >= role and course in self.classroom.courses:
            return
        if place:
            await asyncio.to_thread(self.note, course, self.request.method or "", self.request.path, refused=True)
            raise HTTPError(403, f"the role {role.label} in {course} is needed, and yours is {place.role.label}")
        raise HTTPError(403, f"you are no member of a course {course[:60]!a} here; ask its instructor to invite you")

    def require_invitations(self) -> None:
        """Refuse an invitation on a hub: it would outlast the group that somebody is taken out of."""
        if not self.authentication.invites:
            raise HTTPError(403, "a JupyterHub names who is in a course here; ask its operator for a group")

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
        """Return the body as ``form``; raise 400 with a sentence where it is something else."""
        try:
            found: T = _DECODERS[form].decode(self.raw_body)
        except (msgspec.DecodeError, RecursionError) as error:
            raise HTTPError(400, f"the body is not what this address takes: {str(error).replace('%', '%%')}") from None
        return found

    @property
    def raw_body(self) -> bytes:
        """The body as it came; raise 413 where it was too large, which its head did not say."""
        if self._size > self._most:
            self._refuse_size()
        return bytes(self._body)

    async def reply(self, work: Callable[[], Any], status: int = 200) -> None:
        """Do work in a thread and send what it gives as JSON."""
        self.send(await asyncio.to_thread(work), status)

    def send(self, value: Any, status: int = 200) -> None:
        """Send a value as JSON."""
        self.set_status(status)
        self.set_header("Content-Type", "application/json; charset=utf-8")
        self.finish(msgspec.json.encode(value))

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Send one sentence; of an error of our own making nothing else is told."""
        error = (kwargs.get("exc_info") or (None, None))[1]
        sentence = "the request could not be carried out; nothing was changed, and the server's log has more"
        if isinstance(error, StudiumError):
            self.set_status(next((code for kind, code in _STATUS.items() if isinstance(error, kind)), 400))
            sentence = str(error)
        elif isinstance(error, HTTPError) and status_code < 500:  # a hub that does not answer is not described
            sentence = (error.log_message or error.reason or sentence).replace("%%", "%")
        elif status_code == 404:
            sentence = "there is nothing at this address"
        self.set_header("Content-Type", "application/json; charset=utf-8")
        self.finish(msgspec.json.encode(Refusal(sentence)))

    def log_exception(self, kind: Any, error: Any, trace: Any) -> None:
        """Log what is our own fault with its traceback, and a refusal not at all."""
        if not isinstance(error, StudiumError | HTTPError):
            super().log_exception(kind, error, trace)


class UnknownHandler(ClassroomHandler):
    """Every address that is none."""

    async def prepare(self) -> None:
        """Say so."""
        raise HTTPError(404, "there is nothing at this address; see docs/classroom-api.md")
