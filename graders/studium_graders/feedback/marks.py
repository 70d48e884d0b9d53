"""The marks of an assignment from the gradebook: tests, marks by hand, comments, penalties."""

from collections import defaultdict
from collections.abc import Collection
from datetime import datetime, timedelta

import msgspec
from nbgrader.api import (
    Assignment,
    BaseCell,
    Comment,
    Grade,
    GradeCell,
    Notebook,
    Student,
    SubmittedAssignment,
    SubmittedNotebook,
    TaskCell,
)
from sqlalchemy import select
from sqlalchemy.orm import Session
from studium.errors import UnknownNameError

from studium_graders.gradebook.reading import reading_gradebook


class Mark(msgspec.Struct, frozen=True):
    """The points of one graded cell. ``auto`` and ``manual`` are None if nobody gave any."""

    score: float
    max_score: float
    auto: float | None
    manual: float | None
    extra: float
    waits: bool


class Remark(msgspec.Struct, frozen=True):
    """What somebody, or nbgrader itself, wrote about an answer."""

    text: str
    by_hand: bool


class NotebookMarks(msgspec.Struct, frozen=True):
    """One notebook of a submission: marks and remarks by grade id."""

    name: str
    penalty: float
    marks: dict[str, Mark] = msgspec.field(default_factory=dict)
    remarks: dict[str, Remark] = msgspec.field(default_factory=dict)

    @property
    def score(self) -> float:
        """The points before the penalty."""
        return sum(mark.score for mark in self.marks.values())

    @property
    def max_score(self) -> float:
        """The points that could be earned."""
        return sum(mark.max_score for mark in self.marks.values())

    @property
    def final(self) -> float:
        """The points after the penalty, never below 0."""
        return max(0.0, self.score - self.penalty)


class SubmissionMarks(msgspec.Struct, frozen=True):
    """One submission. Times are UTC without a zone, as in nbgrader; None if there is none."""

    student: str
    student_name: str
    timestamp: datetime | None
    due: datetime | None
    notebooks: list[NotebookMarks]


def read_marks(url: str, assignment: str, students: Collection[str] = ()) -> list[SubmissionMarks]:
    """Return the marks of every submission of an assignment by student, only for ``students`` if any are named.

    Raise UnknownNameError for an assignment, or for a student without a submission, and CourseError for a gradebook
    that cannot be read.
    """
    with reading_gradebook(url) as session:
        found = session.execute(select(Assignment.name, Assignment.id, Assignment.duedate)).all()
        ids = {name: (id_, due) for name, id_, due in found}
        if assignment not in ids:
            raise UnknownNameError("assignment", assignment, ids)
        all_marks = _submissions(session, *ids[assignment])
    for student in students:
        if student not in all_marks:
            raise UnknownNameError(f"student of {assignment}", student, all_marks)
    return [all_marks[student] for student in sorted(set(students) or all_marks)]


def read_marks_of(url: str, assignment: str, student: str) -> SubmissionMarks | None:
    """Return the marks of one submission, without reading those of the class; None if there is no such submission."""
    with reading_gradebook(url) as session:
        found = session.execute(select(Assignment.id, Assignment.duedate).where(Assignment.name == assignment)).first()
        if found is None:
            return None
        return _submissions(session, found.id, found.duedate, student).get(student)


def _submissions(
    session: Session, assignment: str, due: datetime | None, student: str = ""
) -> dict[str, SubmissionMarks]:
    """Return the marked submissions by student: all of them, or only that of one student."""
    query = (
        select(SubmittedAssignment, Student)
        .join(SubmittedAssignment.student)
        .where(SubmittedAssignment.assignment_id == assignment)
    )
    if student:
        query = query.where(SubmittedAssignment.student_id == student)
    rows = session.execute(query).all()
    books = _notebooks(session, assignment, [submitted.id for submitted, _ in rows])
    return {
        student.id: SubmissionMarks(
            student.id,
            " ".join(filter(None, (student.first_name, student.last_name))),
            submitted.timestamp,
            due and due + (submitted.extension or timedelta()),
            sorted(books[submitted.id], key=lambda book: book.name),
        )
        for submitted, student in rows
    }


def _notebooks(
    session: Session, assignment: str, submissions: Collection[str]
) -> defaultdict[str, list[NotebookMarks]]:
    """Return the marked notebooks by the id of the submission."""
    query = (
        select(SubmittedNotebook.id, SubmittedNotebook.assignment_id, Notebook.name)
        .add_columns(SubmittedNotebook.late_submission_penalty)
        .join(SubmittedNotebook.notebook)
        .where(Notebook.assignment_id == assignment, SubmittedNotebook.assignment_id.in_(submissions))
    )
    found: defaultdict[str, list[NotebookMarks]] = defaultdict(list)
    by_id = {}
    for id_, submission, name, penalty in session.execute(query):
        by_id[id_] = NotebookMarks(name, penalty or 0.0)
        found[submission].append(by_id[id_])
    _add_marks(session, assignment, by_id)
    _add_remarks(session, assignment, by_id)
    return found


def _add_marks(session: Session, assignment: str, books: dict[str, NotebookMarks]) -> None:
    most = {
        id_: points
        for kind in (GradeCell, TaskCell)
        for id_, points in session.execute(
            select(kind.id, kind.max_score).join(kind.notebook).where(Notebook.assignment_id == assignment)
        )
    }
    query = select(Grade, BaseCell.name).join(Grade.cell).join(BaseCell.notebook)
    own = Notebook.assignment_id == assignment, Grade.notebook_id.in_(books)
    for grade, name in session.execute(query.where(*own)):
        books[grade.notebook_id].marks[name] = Mark(
            grade.score or 0.0,
            most.get(grade.cell_id, 0.0),
            grade.auto_score,
            grade.manual_score,
            grade.extra_credit or 0.0,
            bool(grade.needs_manual_grade) and grade.manual_score is None,
        )


def _add_remarks(session: Session, assignment: str, books: dict[str, NotebookMarks]) -> None:
    query = select(Comment, BaseCell.name).join(Comment.cell).join(BaseCell.notebook)
    own = Notebook.assignment_id == assignment, Comment.notebook_id.in_(books)
    for comment, name in session.execute(query.where(*own)):
        text = comment.manual_comment if comment.manual_comment is not None else comment.auto_comment
        if text and text.strip():
            books[comment.notebook_id].remarks[name] = Remark(text.strip(), comment.manual_comment is not None)
