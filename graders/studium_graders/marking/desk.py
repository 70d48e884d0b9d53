"""A person's desk: the questions with their counts, one answer at a time, its mark, and the rubric."""

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from math import isfinite

from nbgrader.api import new_uuid
from sqlalchemy import delete, or_
from sqlalchemy.orm import Session
from studium.errors import UnknownNameError, UsageError

from studium_graders.marking.errors import HeldError
from studium_graders.marking.forms import AnswerName, Counts, Item, Opened, Rubric
from studium_graders.marking.outline import Question
from studium_graders.marking.rows import (
    Row,
    answers_with,
    cells_of,
    claims_of,
    markings_of,
    rows_of,
    rubric_of,
    uses_of,
)
from studium_graders.marking.tables import MOST_TEXT, Claim, RubricItem
from studium_graders.marking.transaction import marking_transaction
from studium_graders.marking.writing import Answer, mark_again

HOLDS = timedelta(minutes=30)  # how long somebody has an answer without doing anything
MOST_POINTS = 10_000.0
MOST_COMMENT = 10_000  # characters
_MOST_ITEMS = 50


class Desk:
    """What one person marks in one assignment. ``sees`` tells whose answers the person may see."""

    def __init__(
        self,
        url: str,
        assignment: str,
        outline: Mapping[str, Question],
        person: str,
        sees: Callable[[str], bool] = lambda student: True,
        content: Callable[[str, str], str] = lambda student, notebook: "",
        now: Callable[[], datetime] = lambda: datetime.now(UTC).replace(tzinfo=None),
    ) -> None:
        """Open a desk. ``content`` names what is in a student's notebook now, ``now`` is the time in UTC, naive."""
        self._url, self._assignment, self._outline = url, assignment, outline
        self._person, self._sees, self._content, self._now = person, sees, content, now

    # ------------------------------------------------------------------------------------------------------ answers

    def questions(self) -> list[Counts]:
        """Return the questions in which an answer waits for a person or was marked by one."""
        with marking_transaction(self._url, self._assignment) as session:
            rows = [row for row in self._rows(session) if row.waits or row.is_marked]
            markings, claims = markings_of(session, rows), claims_of(session, self._now())
            cells = cells_of(session, self._assignment)
            return list(self._counted(rows, {key: one.user for key, one in markings.items()}, claims, cells))

    def _counted(
        self,
        rows: list[Row],
        users: Mapping[str, str],
        claims: Mapping[str, str],
        cells: Mapping[str, tuple[str, float]],
    ) -> Iterator[Counts]:
        for name, question in self._outline.items():
            own = [row for row in rows if row.question == name]
            if own:
                marked = [row for row in own if row.is_marked]
                mine = sum(users.get(row.id) == self._person for row in marked)
                held = sum(claims.get(row.id, self._person) != self._person for row in own)
                waiting = len(own) - len(marked)
                yield Counts(name, question.title, cells[name][1], waiting, len(marked), mine, held)

    def next(self, question: str, after: str = "", *, marked: bool = False) -> Opened | None:
        """Take the next answer to a question that nobody else holds; None if there is none.

        The search goes on after the answer ``after`` and begins anew at the end. With ``marked``, it goes through the
        answers that are marked already, and otherwise through those that wait.
        """
        self._require(question)
        with marking_transaction(self._url, self._assignment) as session:
            claims = claims_of(session, self._now())
            free = [
                row
                for row in self._rows(session)
                if row.question == question
                and (row.is_marked if marked else row.waits)
                and claims.get(row.id, self._person) == self._person
                and row.id != after
            ]
            later = [row for row in free if row.id > after]
            chosen = next(iter(later or free), None)
            if chosen is None:
                self._put_down(session)
                return None
            return self._take(session, chosen)

    def open(self, answer: str) -> Opened:
        """Take a certain answer. Raise HeldError if somebody else holds it."""
        with marking_transaction(self._url, self._assignment) as session:
            row = self._row(session, answer)
            return self._take(session, row)

    def answers_of(self, students: Collection[str]) -> dict[str, list[AnswerName]]:
        """Return the answers of these students that the person may open, in the notebooks' order."""
        found: dict[str, list[AnswerName]] = {student: [] for student in students}
        order = {name: number for number, name in enumerate(self._outline)}
        with marking_transaction(self._url, self._assignment) as session:
            for row in sorted(self._rows(session), key=lambda row: order[row.question]):
                if row.student in found:
                    title = self._outline[row.question].title
                    found[row.student].append(AnswerName(row.id, row.question, title))
        return found

    def give_back(self) -> None:
        """Let others have the answer that you hold."""
        with marking_transaction(self._url, self._assignment) as session:
            self._put_down(session)

    def save(self, answer: str, items: Sequence[str], points: float | None, comment: str, stamp: str) -> float:
        """Write the mark of an answer and return it. Raise HeldError if it is not what you have seen."""
        if points is not None and not (isfinite(points) and abs(points) <= MOST_POINTS):
            raise UsageError(f"points must be a number up to {MOST_POINTS:g}: got {points!r}; correct them")
        with marking_transaction(self._url, self._assignment) as session:
            row = self._row(session, answer)
            self._claim(session, row)
            found = Answer(session, row, self._outline)
            if self._stamp(row, found) != stamp:
                raise HeldError("this answer, or its mark, has changed since you opened it; look at it again")
            cell, most = cells_of(session, self._assignment)[row.question]
            rubric = {item.id: item for item in rubric_of(session, cell)}
            if unknown := set(items) - rubric.keys():
                raise UsageError(f"the rubric has no item {min(unknown)[:40]!a} any more; choose among its items")
            chosen = [item for item in rubric.values() if item.id in items]
            mark = found.write(chosen, points, comment[:MOST_COMMENT], most)
            if mark is None:
                raise UsageError("a mark needs an item of the rubric, or points; 0 points count, too")
            found.sign(self._person, self._now(), points, mark)
            return mark

    # ------------------------------------------------------------------------------------------------------- rubric

    def rubric(self, question: str) -> Rubric:
        """Return a question's rubric."""
        self._require(question)
        with marking_transaction(self._url, self._assignment) as session:
            return Rubric(question, _items(session, cells_of(session, self._assignment)[question][0]))

    def add(self, question: str, text: str, points: float) -> Rubric:
        """Add an item at the end of a question's rubric."""
        self._require(question)
        values = _checked(text, points)
        with marking_transaction(self._url, self._assignment) as session:
            cell, _ = cells_of(session, self._assignment)[question]
            rubric = rubric_of(session, cell)
            if len(rubric) >= _MOST_ITEMS:
                raise UsageError(f"a rubric may have {_MOST_ITEMS} items; change or remove one of them")
            position = max((item.position for item in rubric), default=0) + 1
            session.add(RubricItem(id=new_uuid(), cell_id=cell, position=position, **values))
            session.flush()
            return Rubric(question, _items(session, cell))

    def change(self, item: str, text: str, points: float) -> Rubric:
        """Change an item, and mark again all answers that have it, or none."""
        return self._mark_again(item, **_checked(text, points))

    def remove(self, item: str) -> Rubric:
        """Remove an item, also from answers that have it; one without any other item or points waits again."""
        return self._mark_again(item)

    def _mark_again(self, item: str, **values: object) -> Rubric:
        with marking_transaction(self._url, self._assignment) as session:
            cells = {cell: (name, most) for name, (cell, most) in cells_of(session, self._assignment).items()}
            found = session.get(RubricItem, item)
            if found is None or found.cell_id not in cells:
                raise UsageError(f"the rubric has no item {item[:40]!a} any more; choose among its items")
            having = set(answers_with(session, item))
            rows = [row for row in rows_of(session, self._assignment) if row.id in having]
            cell, (question, most) = found.cell_id, cells[found.cell_id]
            again = mark_again(session, rows, self._outline, most, found, **values)
            session.flush()
            return Rubric(question, _items(session, cell), again)

    # -------------------------------------------------------------------------------------------------------- claims

    def _take(self, session: Session, row: Row) -> Opened:
        self._claim(session, row)
        found, (cell, most) = Answer(session, row, self._outline), cells_of(session, self._assignment)[row.question]
        return Opened(
            row.id,
            row.student,
            row.question,
            most,
            row.auto,
            row.manual,
            [item.id for item in found.items],
            found.points,
            found.comment,
            row.waits and row.manual is not None,
            found.marking.user if found.marking else "",
            _items(session, cell),
            self._stamp(row, found),
        )

    def _claim(self, session: Session, row: Row) -> None:
        """Hold an answer, and no other: whoever goes on gives the last one back."""
        holder = claims_of(session, self._now()).get(row.id, self._person)
        if holder != self._person:
            raise HeldError(f"{holder} is marking this answer now; take another one")
        self._put_down(session)
        session.add(Claim(grade_id=row.id, user=self._person, until=self._now() + HOLDS))
        session.flush()

    def _put_down(self, session: Session) -> None:
        """Give back what this person holds, and what others have held for too long."""
        session.execute(delete(Claim).where(or_(Claim.user == self._person, Claim.until <= self._now())))

    def _rows(self, session: Session) -> list[Row]:
        found = rows_of(session, self._assignment)
        return [row for row in found if row.question in self._outline and self._sees(row.student)]

    def _row(self, session: Session, answer: str) -> Row:
        found = [row for row in rows_of(session, self._assignment, answer) if row.question in self._outline]
        if not found or not answer or not self._sees(found[0].student):
            raise UsageError("there is no such answer among those that you may see; take another one")
        return found[0]

    def _require(self, question: str) -> None:
        if question not in self._outline:
            raise UnknownNameError("question", question[:100], self._outline)

    def _stamp(self, row: Row, found: Answer) -> str:
        """Name what somebody has seen: the answer, the test's mark, and whoever marked it last."""
        content = self._content(row.student, found.question.notebook)
        last = found.marking.at.isoformat() if found.marking else ""
        return hashlib.sha256(repr((content, row.auto, last)).encode()).hexdigest()[:32]


def _items(session: Session, cell: str) -> list[Item]:
    rubric = rubric_of(session, cell)
    uses = uses_of(session, [item.id for item in rubric])
    return [Item(item.id, item.text, item.points, uses.get(item.id, 0)) for item in rubric]


def _checked(text: str, points: float) -> dict[str, object]:
    """Return an item's text on one line and its points. Raise UsageError if it cannot have them."""
    text = " ".join(text.split())
    if not text or len(text) > MOST_TEXT:
        raise UsageError(f"an item of a rubric needs a text of at most {MOST_TEXT} characters: got {len(text)}")
    if not (isfinite(points) and abs(points) <= MOST_POINTS):
        raise UsageError(f"an item's points must be a number up to {MOST_POINTS:g}: got {points!r}; correct them")
    return {"text": text, "points": points}
