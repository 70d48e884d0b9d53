"""Write a mark by hand as the formgrader does, and keep the comment's rubric lines in step with the items."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from nbgrader.api import BaseCell, Comment, Grade, new_uuid
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from studium_graders.marking.outline import Question
from studium_graders.marking.rows import Row, comment_of_cell, items_of
from studium_graders.marking.sums import comment_of, line_of, mark_of, own_part, points_beside
from studium_graders.marking.tables import AnswerItem, Marking, RubricItem


class Answer:
    """One answer as it stands: its items, the points beside them, and what a person wrote about it."""

    def __init__(self, session: Session, row: Row, outline: Mapping[str, Question]) -> None:
        self._session, self._outline, self.row = session, outline, row
        self.question = outline[row.question]
        self.items = items_of(session, [row.id]).get(row.id, [])
        self.marking = session.get(Marking, row.id)
        before = (self.marking.points, self.marking.mark) if self.marking else (None, None)
        self.points = points_beside([item.points for item in self.items], *before, row.manual)
        found = self._comment()
        self.comment = own_part(found.manual_comment if found else None, self._lines())

    def write(self, items: Sequence[RubricItem], points: float | None, comment: str, most: float) -> float | None:
        """Write all of it, and return the mark; without items and points the answer waits again."""
        session, row = self._session, self.row
        session.execute(delete(AnswerItem).where(AnswerItem.grade_id == row.id))
        session.add_all(AnswerItem(grade_id=row.id, item_id=item.id) for item in items)
        session.flush()
        mark = mark_of((item.points for item in items), points, most)
        values = {"manual_score": mark, "needs_manual_grade": mark is None}
        session.execute(update(Grade).where(Grade.id == row.id).values(values))
        if self.marking:
            self.marking.points, self.marking.mark = points, mark
        self._write_comment(comment_of(self._lines(), comment))
        return mark

    def sign(self, user: str, at: datetime, points: float | None, mark: float | None) -> None:
        """Note who marked the answer."""
        self._session.merge(Marking(grade_id=self.row.id, points=points, mark=mark, user=user, at=at))

    def _comment(self) -> Any:
        return comment_of_cell(self._session, self.row.submitted, self.question.comment)

    def _lines(self) -> list[str]:
        """Return the rubric's lines on the cell that has the comment, which other questions may share."""
        shared = [one for one in self._outline.values() if _same_comment(one, self.question)]
        cells = select(BaseCell.name, Grade.id).join(Grade, Grade.cell_id == BaseCell.id)
        found = dict(
            tuple(pair) for pair in self._session.execute(cells.where(Grade.notebook_id == self.row.submitted))
        )
        answers = [found[one.cell] for one in shared if one.cell in found]
        items = items_of(self._session, answers)
        return [line_of(item.text, item.points) for answer in answers for item in items.get(answer, ())]

    def _write_comment(self, text: str | None) -> None:
        found = self._comment()
        if found is not None:
            found.manual_comment = text
        elif text and (cell := self._commented_cell()):
            new = Comment(id=new_uuid(), notebook_id=self.row.submitted, cell_id=cell, manual_comment=text)
            self._session.add(new)
        self._session.flush()

    def _commented_cell(self) -> str | None:
        """Return the id of the cell that comments belong to, in a gradebook that has no row for one yet."""
        books = select(BaseCell.notebook_id).where(BaseCell.id == self.row.cell_id)
        kinds = ("SolutionCell", "TaskCell")
        named = BaseCell.name == self.question.comment, BaseCell.type.in_(kinds)
        found: str | None = self._session.scalar(select(BaseCell.id).where(BaseCell.notebook_id.in_(books), *named))
        return found


def _same_comment(one: Question, other: Question) -> bool:
    return (one.notebook, one.comment) == (other.notebook, other.comment) and bool(one.comment)


def mark_again(
    session: Session,
    rows: Iterable[Row],
    outline: Mapping[str, Question],
    most: float,
    change: RubricItem,
    **values: Any,
) -> int:
    """Change an item, or remove it if no ``values`` are given, and mark all answers that have it again."""
    answers = [Answer(session, row, outline) for row in rows]
    for name, value in values.items():
        setattr(change, name, value)
    session.flush()
    for answer in answers:
        kept = [item for item in answer.items if values or item.id != change.id]
        answer.write(kept, answer.points, answer.comment, most)
    if not values:
        session.delete(change)
    return len(answers)
