"""Our tables in the gradebook's own database, so a rubric and the marks that follow from it change together.

nbgrader leaves tables alone that it does not know. Rows refer to nbgrader's by id, without a constraint: if nbgrader
removes a submission, what we know of it is never asked for again.
"""

from datetime import datetime

from sqlalchemy import DateTime, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

MOST_TEXT = 200  # characters of a rubric item


class Base(DeclarativeBase):
    """What all tables share: ids as nbgrader makes them; times are UTC without a zone, as nbgrader's are."""

    type_annotation_map = {str: String(255), datetime: DateTime()}  # noqa: RUF012 - as SQLAlchemy has it


class RubricItem(Base):
    """One item of a question's rubric; ``cell_id`` is the graded cell. Points may be negative."""

    __tablename__ = "studium_rubric_item"
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    cell_id: Mapped[str] = mapped_column(String(32), index=True)
    position: Mapped[int]
    text: Mapped[str] = mapped_column(String(MOST_TEXT))
    points: Mapped[float]


class AnswerItem(Base):
    """An item that applies to an answer; ``grade_id`` is the answer's mark in the gradebook."""

    __tablename__ = "studium_answer_item"
    grade_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    item_id: Mapped[str] = mapped_column(String(32), primary_key=True, index=True)


class Marking(Base):
    """Who marked an answer last, and when. ``points`` are those beside the rubric; ``mark`` is what all came to."""

    __tablename__ = "studium_marking"
    grade_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    points: Mapped[float | None]
    mark: Mapped[float | None]
    user: Mapped[str]
    at: Mapped[datetime]


class Claim(Base):
    """An answer that somebody is marking now; nobody else gets it before ``until``."""

    __tablename__ = "studium_claim"
    grade_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    user: Mapped[str]
    until: Mapped[datetime]
