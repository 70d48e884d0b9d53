"""What the gradebook and our tables have for the answers to a question."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec
from nbgrader.api import (
    Assignment,
    BaseCell,
    Comment,
    Grade,
    GradeCell,
    Notebook,
    SubmittedAssignment,
    SubmittedNotebook,
    TaskCell,
)
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from studium_graders.marking.tables import AnswerItem, Claim, Marking, RubricItem


class Row(msgspec.Struct, frozen=True):
    """An answer's mark in the gradebook. ``id`` names the answer; it does not give away whose it is."""

    id: str
    student: str
    question: str
    cell_id: str
    submitted: str  # the id of the submitted notebook
    auto: float | None
    manual: float | None
    waits: bool

    @property
    def is_marked(self) -> bool:
        """Whether somebody has marked the answer, and it has not changed since."""
        return self.manual is not None and not self.waits


def rows_of(session: Session, assignment: str, answer: str = "") -> list[Row]:
    """Return all marks of an assignment, or one; in an order that says nothing about the students."""
    query = (
        select(Grade.id, SubmittedAssignment.student_id, Notebook.name, BaseCell.name, BaseCell.id)
        .add_columns(Grade.notebook_id, Grade.auto_score, Grade.manual_score, Grade.needs_manual_grade)
        .join(SubmittedNotebook, Grade.notebook_id == SubmittedNotebook.id)
        .join(SubmittedAssignment, SubmittedNotebook.assignment_id == SubmittedAssignment.id)
        .join(Assignment, SubmittedAssignment.assignment_id == Assignment.id)
        .join(BaseCell, Grade.cell_id == BaseCell.id)
        .join(Notebook, BaseCell.notebook_id == Notebook.id)
        .where(Assignment.name == assignment)
        .order_by(Grade.id)
    )
    found = session.execute(query.where(Grade.id == answer) if answer else query)
    return [
        Row(id_, student, f"{book}/{cell}", cell_id, submitted, auto, manual, bool(needs))
        for id_, student, book, cell, cell_id, submitted, auto, manual, needs in found
    ]


def cells_of(session: Session, assignment: str) -> dict[str, tuple[str, float]]:
    """Return the id and the points of each graded cell, by question."""
    found = {}
    for kind in (GradeCell, TaskCell):
        query = select(Notebook.name, kind.name, kind.id, kind.max_score).join(kind.notebook).join(Notebook.assignment)
        for book, cell, id_, points in session.execute(query.where(Assignment.name == assignment)):
            found[f"{book}/{cell}"] = (id_, float(points or 0.0))
    return found


def rubric_of(session: Session, cell_id: str) -> list[RubricItem]:
    """Return the items of a question in their order."""
    query = select(RubricItem).where(RubricItem.cell_id == cell_id).order_by(RubricItem.position, RubricItem.id)
    return list(session.scalars(query))


def items_of(session: Session, answers: Collection[str]) -> dict[str, list[RubricItem]]:
    """Return the items that each of these answers has, in the order of the rubric."""
    query = (
        select(AnswerItem.grade_id, RubricItem)
        .join(RubricItem, RubricItem.id == AnswerItem.item_id)
        .where(AnswerItem.grade_id.in_(answers))
        .order_by(RubricItem.position, RubricItem.id)
    )
    found: defaultdict[str, list[RubricItem]] = defaultdict(list)
    for answer, item in session.execute(query):
        found[answer].append(item)
    return found


def markings_of(session: Session, rows: Iterable[Row]) -> dict[str, Marking]:
    """Return who marked these answers, by answer."""
    wanted = {row.id for row in rows}
    return {one.grade_id: one for one in session.scalars(select(Marking)) if one.grade_id in wanted}


def claims_of(session: Session, now: datetime) -> dict[str, str]:
    """Return who holds which answer now."""
    return {one.grade_id: one.user for one in session.scalars(select(Claim).where(Claim.until > now))}


def comment_of_cell(session: Session, submitted: str, cell: str) -> Any:
    """Return nbgrader's row with the comment on a cell of a submitted notebook, or None."""
    query = select(Comment).join(BaseCell, Comment.cell_id == BaseCell.id)
    return session.scalar(query.where(Comment.notebook_id == submitted, BaseCell.name == cell))


def uses_of(session: Session, items: Collection[str]) -> dict[str, int]:
    """Return how many answers have each of these items; none for an item that nobody has."""
    query = select(AnswerItem.item_id, func.count()).where(AnswerItem.item_id.in_(items)).group_by(AnswerItem.item_id)
    return {item: int(number) for item, number in session.execute(query)}


def answers_with(session: Session, item: str) -> Sequence[str]:
    """Return the answers that have an item."""
    return session.scalars(select(AnswerItem.grade_id).where(AnswerItem.item_id == item)).all()
