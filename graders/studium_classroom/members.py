"""Who belongs to which course, by a roster or an invitation, and whose token is whose."""

import hashlib
import secrets
from datetime import UTC, datetime, timedelta

import msgspec
from sqlalchemy import delete, select
from sqlalchemy.orm import Session
from studium.classroom.messages import Joined
from studium.errors import StudiumError, UsageError
from studium_graders.class_list.student_ids import RULE, is_usable

from studium_classroom.database import Database
from studium_classroom.roles import Person, Place, Role
from studium_classroom.schema import AccessToken, BoardPass, InvitationRow, MarkingPass, Member

INVITED_DAYS = 30
_INVITED = timedelta(days=INVITED_DAYS)


class RosterEntry(msgspec.Struct, frozen=True):
    """One member of a course, and since when; ``joined`` is false until an invitation was used.

    Students who are only on the class list have no ``since``; ``gone`` are those who are no longer on it.
    """

    user: str
    role: str
    section: str
    since: datetime | None
    joined: bool
    gone: bool = False


class InvitationError(StudiumError):
    """An invitation that this server does not have, or no longer has."""


def require_user(name: str) -> str:
    """Return a name that a student can have, since a folder is named after it. Raise UsageError otherwise."""
    if not is_usable(name):
        raise UsageError(f"a student's name may have {RULE}: got {name[:100]!a}")
    return name


class Members:
    """The members of all courses of one server."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, course: str, user: str, place: Place) -> None:
        """Put somebody into a course, at this place only. Raise UsageError for a name that cannot be used."""
        with self._database.writing() as session:
            _set_place(session, course, require_user(user), place, datetime.now(UTC) + _INVITED)

    def remove(self, course: str, user: str) -> None:
        """Remove somebody from a course: tokens, invitations and boards end, but their submissions stay."""
        with self._database.writing() as session:
            for kind in (AccessToken, BoardPass, MarkingPass, InvitationRow, Member):
                _delete(session, kind, course, user)

    def places(self, user: str) -> dict[str, Place]:
        """Return somebody's place in each course whose roster has the name."""
        with self._database.reading() as session:
            rows = session.scalars(select(Member).where(Member.user == user))
            return {row.course: _place(row) for row in rows}

    def roster(self, course: str) -> list[RosterEntry]:
        """Return the members of a course by name."""
        with self._database.reading() as session:
            joined = set(session.scalars(select(AccessToken.user).where(AccessToken.course == course)))
            rows = session.scalars(select(Member).where(Member.course == course).order_by(Member.user))
            return [RosterEntry(row.user, row.role, row.section, row.since, row.user in joined) for row in rows]

    def invite(self, course: str, user: str, place: Place) -> str:
        """Return the secret of a new invitation, which one person may use once, within 30 days."""
        secret = secrets.token_urlsafe(32)
        with self._database.writing() as session:
            expires = datetime.now(UTC) + _INVITED
            row = InvitationRow(sha256=hash_of(secret), course=course, user=require_user(user), expires=expires)
            row.role, row.section, row.used = place.role.label, place.section, None
            session.add(row)
        return secret

    def join(self, secret: str) -> Joined:
        """Exchange an invitation for a token, once. Raise InvitationError if it cannot be used."""
        token = secrets.token_urlsafe(32)
        with self._database.writing() as session:
            row, now = session.get(InvitationRow, hash_of(secret)), datetime.now(UTC)
            if row is None or row.used or row.expires < now:
                raise InvitationError("the invitation is unknown, used or older than 30 days; ask for another one")
            row.used = now
            _set_place(session, row.course, row.user, _place(row), row.expires)
            session.add(AccessToken(sha256=hash_of(token), course=row.course, user=row.user, since=now))
            return Joined(row.user, row.course, token)

    def person(self, token: str) -> Person | None:
        """Return whose token it is: a member of one course, and of no other even if the name occurs there too."""
        with self._database.reading() as session:
            found = session.get(AccessToken, hash_of(token))
            member = found and session.get(Member, (found.course, found.user))
            return Person(member.user, {member.course: _place(member)}) if member else None


def _delete(
    session: Session,
    kind: type[AccessToken | BoardPass | MarkingPass | InvitationRow | Member],
    course: str,
    user: str,
) -> None:
    session.execute(delete(kind).where(kind.course == course, kind.user == user))


def _set_place(session: Session, course: str, user: str, place: Place, expires: datetime) -> None:
    """Put somebody at a place. Whatever was issued for another place ends: boards, and unused invitations.

    Invitations that expire by ``expires`` end: all of them if that is 30 days from now, and if somebody has joined by
    one, those that are not newer.
    """
    row = Member(course=course, user=user, since=datetime.now(UTC), role=place.role.label, section=place.section)
    session.merge(row)
    for kind in (BoardPass, MarkingPass):
        _delete(session, kind, course, user)
    earlier = InvitationRow.used.is_(None), InvitationRow.expires <= expires
    session.execute(delete(InvitationRow).where(InvitationRow.course == course, InvitationRow.user == user, *earlier))


def _place(row: Member | InvitationRow) -> Place:
    return Place(Role.named(row.role), row.section)


def hash_of(secret: str) -> str:
    """Return the hash of a secret of 256 random bits, which needs nothing as slow as a password hash."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()
