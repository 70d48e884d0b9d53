"""The tables of the course server. Marks stay in the gradebook; these record who may do what, and what came in when."""

from datetime import UTC, datetime

from sqlalchemy import DateTime, ForeignKey, String, TypeDecorator, UniqueConstraint
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

VERSION = 1


class Moment(TypeDecorator[datetime]):
    """A time in UTC: SQLite stores no time zone, PostgreSQL does."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return the time in UTC; a time without a zone is a bug of ours."""
        assert value is None or value.tzinfo
        return value and value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return the time with its zone."""
        return value and (value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC))


class Base(DeclarativeBase):
    """What all tables share: names of people and courses are short, times are in UTC."""

    type_annotation_map = {str: String(255), datetime: Moment}  # noqa: RUF012 - as SQLAlchemy has it


class Setting(Base):
    """A fact about the database itself: the version of its tables."""

    __tablename__ = "setting"
    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]


class Member(Base):
    """Somebody in a course. A ``section`` of "" means the whole course."""

    __tablename__ = "member"
    course: Mapped[str] = mapped_column(primary_key=True)
    user: Mapped[str] = mapped_column(primary_key=True)
    role: Mapped[str]
    section: Mapped[str]
    since: Mapped[datetime]


class InvitationRow(Base):
    """An invitation that can be used once. Only a hash of its link's secret is stored."""

    __tablename__ = "invitation"
    sha256: Mapped[str] = mapped_column(primary_key=True)
    course: Mapped[str]
    user: Mapped[str]
    role: Mapped[str]
    section: Mapped[str]
    expires: Mapped[datetime]
    used: Mapped[datetime | None]


class AccessToken(Base):
    """A token of one member in one course; only its hash is stored."""

    __tablename__ = "access_token"
    sha256: Mapped[str] = mapped_column(primary_key=True)
    course: Mapped[str]
    user: Mapped[str]
    since: Mapped[datetime]


class Pass(Base):
    """The secret of a link that opens a page once, or of the session it was exchanged for; only its hash is stored.

    It has the place that its owner had in the course when the link was made.
    """

    __abstract__ = True
    sha256: Mapped[str] = mapped_column(primary_key=True)
    course: Mapped[str]
    user: Mapped[str]
    role: Mapped[str]
    section: Mapped[str]
    is_link: Mapped[bool]
    expires: Mapped[datetime]


class BoardPass(Pass):
    """A pass that reads the boards of one course."""

    __tablename__ = "board_pass"


class MarkingPass(Pass):
    """A pass that marks by hand in one course. Older databases get this table when they are opened."""

    __tablename__ = "marking_pass"


class Submission(Base):
    """What somebody handed in, and the result. Rows are only added, and only the columns below ``state`` change."""

    __tablename__ = "submission"
    __table_args__ = (UniqueConstraint("course", "assignment", "user", "attempt"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    course: Mapped[str] = mapped_column(index=True)
    assignment: Mapped[str]
    user: Mapped[str]
    attempt: Mapped[int]
    received: Mapped[datetime]
    sha256: Mapped[str]
    size: Mapped[int]
    late: Mapped[bool]
    signature: Mapped[str]
    state: Mapped[str]
    tries: Mapped[int]
    score: Mapped[float | None]
    max_score: Mapped[float | None]
    penalty: Mapped[float]
    sentence: Mapped[str] = mapped_column(String(2000))
    graded: Mapped[datetime | None]


class FeedbackPage(Base):
    """One feedback page, as of when the submission was graded."""

    __tablename__ = "feedback_page"
    submission: Mapped[int] = mapped_column(ForeignKey("submission.id"), primary_key=True)
    notebook: Mapped[str] = mapped_column(primary_key=True)
    sha256: Mapped[str]


class GradedExercise(Base):
    """What grading found in one exercise of a submission; ``mistake`` is the id of a misconception."""

    __tablename__ = "graded_exercise"
    submission: Mapped[int] = mapped_column(ForeignKey("submission.id"), primary_key=True)
    exercise: Mapped[str] = mapped_column(primary_key=True)
    outcome: Mapped[str]
    mistake: Mapped[str]


class Release(Base):
    """Marks that an instructor has let students see."""

    __tablename__ = "release"
    course: Mapped[str] = mapped_column(primary_key=True)
    assignment: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[datetime]


class RegradeRow(Base):
    """A student's request to mark an attempt again. Older databases get this table when they are opened.

    ``reply`` is "" and ``replied`` None until a member of staff has replied.
    """

    __tablename__ = "regrade_request"
    __table_args__ = (UniqueConstraint("course", "assignment", "user", "attempt"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    course: Mapped[str] = mapped_column(index=True)
    assignment: Mapped[str]
    user: Mapped[str]
    attempt: Mapped[int]
    text: Mapped[str] = mapped_column(String(2000))
    asked: Mapped[datetime]
    reply: Mapped[str] = mapped_column(String(2000))
    replied: Mapped[datetime | None]


class Check(Base):
    """A check against the hidden tests: one row for each exercise; ``mistake`` is the id of a misconception."""

    __tablename__ = "check"
    id: Mapped[int] = mapped_column(primary_key=True)
    request: Mapped[str] = mapped_column(index=True)  # the same for all rows of one check
    course: Mapped[str]
    assignment: Mapped[str]
    user: Mapped[str]
    exercise: Mapped[str]
    outcome: Mapped[str]
    mistake: Mapped[str]
    at: Mapped[datetime]


class Event(Base):
    """The audit log: who did, or tried to do, what. Rows are added and never changed."""

    __tablename__ = "event"
    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    course: Mapped[str]
    user: Mapped[str]
    action: Mapped[str]
    subject: Mapped[str]
    refused: Mapped[bool]
