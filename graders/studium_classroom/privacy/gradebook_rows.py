"""What nbgrader's gradebook holds about a person."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from nbgrader.api import (
    Assignment,
    BaseCell,
    Comment,
    Grade,
    Notebook,
    Student,
    SubmittedAssignment,
    SubmittedNotebook,
)
from sqlalchemy import ColumnElement, Select, create_engine, delete, func, inspect, select, update
from sqlalchemy.orm import Session
from studium_graders.gradebook.errors import gradebook_errors, patient
from studium_graders.gradebook.reading import reading_if_there
from studium_graders.marking.tables import AnswerItem, Claim, Marking, RubricItem

from studium_classroom.privacy.place import Item, as_json, counted


class GradebookRows:
    """The gradebook at a URL."""

    name = "gradebook"

    def __init__(self, url: str) -> None:
        self._url = url

    def holds(self, person: str) -> Mapping[str, int]:
        """Return the numbers of rows."""
        with reading_if_there(self._url, "student") as session:
            if session is None:
                return {}
            numbers = {kind: _count(session, kind, own) for kind, own in _own(session, person).items()}
            given = _count(session, Marking, Marking.user == person) if _has(session, Marking) else 0
        names = {kind.__tablename__.removeprefix("studium_"): number for kind, number in reversed(numbers.items())}
        return counted(**names, mark_given_by_hand=given)

    def items(self, person: str) -> Iterator[Item]:
        """Return the rows as JSON, by table, with the names of assignments, notebooks and cells."""
        with reading_if_there(self._url, "student") as session:
            if session is None or not self.holds(person):
                return
            rows = {
                kind.__tablename__: [dict(row) for row in session.execute(query).mappings()]
                for kind, query in _named(session, person)
            }
        yield Item("gradebook.json", "marks, penalties and comments, as in the gradebook's tables", as_json(rows))

    def erase(self, person: str) -> None:
        """Remove the rows, all or none."""
        if self.holds(person):
            with gradebook_errors(self._url), _writing(self._url) as session:
                for kind, own in _own(session, person).items():
                    session.execute(delete(kind).where(own).execution_options(synchronize_session=False))
                if _has(session, Marking):  # marks of other people's answers stay, without the name of who gave them
                    session.execute(update(Marking).where(Marking.user == person).values(user=""))

    def known(self) -> set[str]:
        """Return the students."""
        with reading_if_there(self._url, "student") as session:
            return set(session.scalars(select(Student.id))) if session else set()


def _has(session: Session, kind: Any) -> bool:
    """Return whether a table is there: ours are made when somebody first marks by hand."""
    return inspect(session.connection()).has_table(kind.__tablename__)


def _own(session: Session, person: str) -> dict[Any, ColumnElement[bool]]:
    """Return which rows of each table are a person's, in the order in which they can be removed."""
    submissions = select(SubmittedAssignment.id).where(SubmittedAssignment.student_id == person)
    notebooks = select(SubmittedNotebook.id).where(SubmittedNotebook.assignment_id.in_(submissions))
    marks = select(Grade.id).where(Grade.notebook_id.in_(notebooks))
    ours = {kind: kind.grade_id.in_(marks) for kind in (AnswerItem, Claim, Marking) if _has(session, kind)}
    return {
        **ours,
        Comment: Comment.notebook_id.in_(notebooks),
        Grade: Grade.notebook_id.in_(notebooks),
        SubmittedNotebook: SubmittedNotebook.assignment_id.in_(submissions),
        SubmittedAssignment: SubmittedAssignment.student_id == person,
        Student: Student.id == person,
    }


def _named(session: Session, person: str) -> Iterator[tuple[Any, Select[Any]]]:
    own = _own(session, person)
    for ours in (AnswerItem, Marking):
        if ours in own:
            yield ours, _with_texts(ours).where(own[ours])
    for kind in (Student, SubmittedAssignment, SubmittedNotebook, Grade, Comment):
        query: Select[Any] = select(*kind.__table__.columns).where(own[kind])
        if kind is SubmittedAssignment:
            query = query.add_columns(Assignment.name.label("assignment")).join(
                Assignment, Assignment.id == SubmittedAssignment.assignment_id
            )
        elif kind is SubmittedNotebook:
            query = query.add_columns(Notebook.name.label("notebook")).join(
                Notebook, Notebook.id == SubmittedNotebook.notebook_id
            )
        elif kind is not Student:
            query = query.add_columns(BaseCell.name.label("cell")).join(BaseCell, BaseCell.id == kind.cell_id)
        yield kind, query


def _with_texts(kind: Any) -> Select[Any]:
    """Return the query of a table of ours, with the texts of rubric items."""
    query: Select[Any] = select(*kind.__table__.columns)
    if kind is AnswerItem:
        texts = query.add_columns(RubricItem.text, RubricItem.points)
        query = texts.join(RubricItem, RubricItem.id == AnswerItem.item_id)
    return query


def _count(session: Session, kind: Any, own: ColumnElement[bool]) -> int:
    return session.scalar(select(func.count()).select_from(kind).where(own)) or 0


@contextmanager
def _writing(url: str) -> Iterator[Session]:
    """Return a session whose work is committed at the end."""
    engine = create_engine(patient(url))
    try:
        with Session(engine) as session, session.begin():
            yield session
    finally:
        engine.dispose()
