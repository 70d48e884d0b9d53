"""Record marks: the only writer of the gradebook, using nbgrader's own models and the marks that nbgrader would give.

What stock nbgrader does cell by cell in SaveAutoGrades and AssignLatePenalties is done here for many submissions in one
transaction. Manual scores, extra credit and manual comments are read and never written; the only extensions changed are
those that course.toml grants.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any, Self

import msgspec
from nbgrader.api import (
    Assignment,
    Comment,
    Grade,
    Gradebook,
    Student,
    SubmittedAssignment,
    SubmittedNotebook,
    new_uuid,
)
from sqlalchemy import insert, select, update
from sqlalchemy.engine import make_url
from studium.errors import CourseError, UnknownNameError

from studium_graders.engine.intake.timestamps import read_timestamp
from studium_graders.engine.material.assignment import CanonicalNotebook, CanonicalSubmission
from studium_graders.engine.material.results import WAITING, NotebookResult, SubmissionResult
from studium_graders.gradebook.errors import gradebook_errors, patient
from studium_graders.gradebook.reading import reading_if_there
from studium_graders.grading.late.budget import Extensions
from studium_graders.grading.late.penalties import LatePenalties
from studium_graders.results.mark_changes import ALL, LATE, MarkChange, Plan, Selection

NO_RESPONSE = "No response."
_MODELS = (Student, SubmittedAssignment, SubmittedNotebook, Grade, Comment)  # each refers to those before it


class Graded(msgspec.Struct, frozen=True):
    """A submission with its result: everything needed to record it."""

    submission: CanonicalSubmission
    result: SubmissionResult


class _Cells(msgspec.Struct, frozen=True):
    """The cells of one notebook in the gradebook: name to id. ``tasks`` are names of those that only people mark."""

    id: str
    name: str
    graded: dict[str, str]
    commented: dict[str, str]
    tasks: frozenset[str]


class _Recorded(msgspec.Struct, frozen=True):
    """What the gradebook has for some students, as rows by what they belong to."""

    students: set[str]
    submissions: dict[str, Any]  # by student
    notebooks: dict[tuple[str, str], Any]  # by submission and notebook
    grades: dict[tuple[str, str], Any]  # by submitted notebook and cell
    comments: dict[tuple[str, str], Any]


class Recorder:
    """The gradebook of a course, open for one assignment. Raises GradebookError if it cannot be used."""

    def __init__(
        self,
        url: str,
        course_id: str,
        assignment: str,
        penalties: LatePenalties,
        extensions: Extensions = lambda student, received: None,
        selection: Selection = ALL,
        due: datetime | None = None,
    ) -> None:
        """Open the gradebook. ``due`` (UTC, naive) replaces the due date in it, if course.toml has one."""
        self._url, self._due = url, due
        self._penalties = penalties
        self.extensions, self.selection = extensions, selection
        _require_assignment(url, assignment)
        with gradebook_errors(url):
            self._gradebook = Gradebook(patient(url), course_id or "default_course")
            try:
                self._read_assignment(assignment)
            except BaseException:
                self._gradebook.close()
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._gradebook.close()

    def plan(
        self, graded: Sequence[Graded], seen: Callable[[Graded], frozenset[str]] = lambda graded: frozenset()
    ) -> list[Plan]:
        """Return what recording these submissions would write, without changing anything.

        ``seen`` names a submission's notebooks in which the person who marks it would see no change: what was reviewed
        stays reviewed.
        """
        with gradebook_errors(self._url):
            recorded = self._read([item.submission.student for item in graded])
            self._gradebook.db.rollback()
        return [_Planner(self, item, recorded, seen).plan() for item in graded]

    def write(self, plans: Iterable[Plan]) -> None:
        """Write what was planned, all of it or nothing."""
        plans, database = list(plans), self._gradebook.db
        with gradebook_errors(self._url):
            try:
                if self.due != self._due_before:
                    own = Assignment.id == self.assignment_id
                    database.execute(update(Assignment).where(own).values(duedate=self.due))
                for model in _MODELS:
                    for statement, kind in ((insert(model), "inserts"), (update(model), "updates")):
                        rows = [row for plan in plans for row in getattr(plan, kind).get(model.__name__, ())]
                        for same in _by_columns(rows):
                            database.execute(statement, same)
                database.commit()
            except BaseException:
                database.rollback()
                raise

    def _read_assignment(self, name: str) -> None:
        assignment = self._gradebook.find_assignment(name)
        self.assignment_id, self._due_before = assignment.id, assignment.duedate
        self.due = self._due or self._due_before
        self.cells = [
            _Cells(
                book.id,
                book.name,
                {cell.name: cell.id for cell in (*book.grade_cells, *book.task_cells)},
                {cell.name: cell.id for cell in (*book.solution_cells, *book.task_cells)},
                frozenset(cell.name for cell in book.task_cells),
            )
            for book in assignment.notebooks
        ]
        self._gradebook.db.rollback()
        known = {f"{cells.name}/{cell}" for cells in self.cells for cell in cells.graded}
        for test in sorted(self.selection.tests - known):
            raise UnknownNameError("test", test, known)

    @property
    def loses_points_late(self) -> bool:
        """Whether there is a due date after which a submission can lose points."""
        return self.due is not None and self._penalties.may_cost

    def penalty(self, student: str, score: float, timestamp: datetime | None, extension: Any) -> float | None:
        """Return the points that a late notebook loses, or None, by the course's plugin and nbgrader's rules."""
        due = self.due + extension if self.due and extension else self.due
        late = (timestamp - due).total_seconds() if timestamp and due else 0.0
        return self._penalties.points(student, score, late) if late > 0 else None

    def _read(self, students: Sequence[str]) -> _Recorded:
        run = self._gradebook.db.execute
        known = set(run(select(Student.id).where(Student.id.in_(students))).scalars())
        submissions = run(
            select(*_columns(SubmittedAssignment, "id student_id timestamp extension")).where(
                SubmittedAssignment.assignment_id == self.assignment_id, SubmittedAssignment.student_id.in_(students)
            )
        ).all()
        notebooks = run(
            select(*_columns(SubmittedNotebook, "id assignment_id notebook_id late_submission_penalty")).where(
                SubmittedNotebook.assignment_id.in_([row.id for row in submissions])
            )
        ).all()
        ids = [row.id for row in notebooks]
        marks = _columns(Grade, "id notebook_id cell_id needs_manual_grade auto_score manual_score extra_credit")
        grades = run(select(*marks).where(Grade.notebook_id.in_(ids)))
        comments = run(
            select(*_columns(Comment, "id notebook_id cell_id auto_comment")).where(Comment.notebook_id.in_(ids))
        )
        return _Recorded(
            known,
            {row.student_id: row for row in submissions},
            {(row.assignment_id, row.notebook_id): row for row in notebooks},
            {(row.notebook_id, row.cell_id): row for row in grades},
            {(row.notebook_id, row.cell_id): row for row in comments},
        )


def _require_assignment(url: str, name: str) -> None:
    """Raise CourseError if the gradebook lacks an assignment. nbgrader's own class would create a gradebook."""
    with reading_if_there(url, "assignment") as session:
        if session is None or session.scalar(select(Assignment.id).where(Assignment.name == name)) is None:
            raise CourseError(
                f"grading needs {name} in the gradebook {make_url(url).database}, which does not have it; run: studium "
                f"assign {name}, or nbgrader generate_assignment {name}"
            )


def _columns(model: Any, names: str) -> list[Any]:
    return [getattr(model, name) for name in names.split()]


class _Planner:
    """Works out what one submission changes in the gradebook."""

    def __init__(
        self,
        recorder: Recorder,
        graded: Graded,
        recorded: _Recorded,
        seen: Callable[[Graded], frozenset[str]],
    ) -> None:
        self.recorder, self.recorded, self.graded = recorder, recorded, graded
        self._seen = seen
        self.student = graded.submission.student
        self.made = Plan(self.student, {}, {}, [])
        self.books = {book.name: book for book in graded.submission.notebooks}
        self.results = {book.name: book for book in graded.result.notebooks}

    @cached_property
    def seen(self) -> frozenset[str]:
        """The notebooks whose current state the person who marks the submission has already seen."""
        return self._seen(self.graded)

    def plan(self) -> Plan:
        """Plan the student, the submission, and each notebook that is in the gradebook."""
        if self.student not in self.recorded.students:
            self._insert(Student, id=self.student)
        timestamp = read_timestamp(self.graded.submission.timestamp)
        row = self.recorded.submissions.get(self.student)
        extension = self.recorder.extensions(self.student, timestamp or (row.timestamp if row else None))
        if row is None:
            submission = new_uuid()
            self._insert(
                SubmittedAssignment,
                id=submission,
                assignment_id=self.recorder.assignment_id,
                student_id=self.student,
                timestamp=timestamp,
                extension=extension,
            )
        else:
            submission = row.id
            extension = row.extension if extension is None else extension
            timestamp = timestamp or row.timestamp
            if extension != row.extension:
                self._update(SubmittedAssignment, id=submission, extension=extension)
            if timestamp != row.timestamp:
                self._update(SubmittedAssignment, id=submission, timestamp=timestamp)
        self.made.untimed = timestamp is None and self.recorder.loses_points_late
        for cells in self.recorder.cells:
            self._notebook(cells, submission, timestamp, extension)
        return self.made

    def _notebook(self, cells: _Cells, submission: str, timestamp: datetime | None, extension: Any) -> None:
        book, result = self.books.get(cells.name), self.results.get(cells.name)
        row = self.recorded.notebooks.get((submission, cells.id))
        notebook = row.id if row else new_uuid()
        if row is None:
            self._insert(SubmittedNotebook, id=notebook, assignment_id=submission, notebook_id=cells.id, flagged=False)
        score = sum(self._grade(cells, name, notebook, book, result) for name in cells.graded)
        untouched = book.untouched if book and not (book.missing or book.problem) else frozenset()
        for name, cell in cells.commented.items():
            self._comment(cell, notebook, name in untouched and name not in cells.tasks)
        missing = book is None or book.missing
        penalty = None if missing else self.recorder.penalty(self.student, score, timestamp, extension)
        before = row.late_submission_penalty if row else None
        if row and (penalty or 0.0) != (before or 0.0):
            change = MarkChange(self.student, cells.name, LATE, before or 0.0, penalty or 0.0)
            follows = any(made.notebook == cells.name for made in self.made.changes)
            if follows or self.recorder.selection.wants(change):
                self.made.changes.append(change)
            else:
                penalty = before
        self.made.score += score
        self.made.penalty += penalty or 0.0
        if penalty != before:
            self._update(SubmittedNotebook, id=notebook, late_submission_penalty=penalty)

    def _grade(
        self,
        cells: _Cells,
        name: str,
        notebook: str,
        book: CanonicalNotebook | None,
        result: NotebookResult | None,
    ) -> float:
        """Plan the mark of one cell and return the score it counts with."""
        row = self.recorded.grades.get((notebook, cells.graded[name]))
        manual = row.manual_score if row else None
        extra = (row.extra_credit if row else None) or 0.0
        if book is None or book.missing or result is None:
            auto, needs = 0.0, False
        elif name in cells.tasks:
            auto, needs = None, _waits(row)
        else:
            auto = _auto_score(name, result)
            needs = manual is not None or auto is None or result.verdict == "unreadable"
            if needs and row and row.auto_score == auto and not row.needs_manual_grade:
                needs = cells.name not in self.seen
        if row is not None and not self._may_change(MarkChange(self.student, cells.name, name, row.auto_score, auto)):
            auto, needs = row.auto_score, row.needs_manual_grade
        if row is None:
            self._insert(
                Grade,
                id=new_uuid(),
                notebook_id=notebook,
                cell_id=cells.graded[name],
                auto_score=auto,
                needs_manual_grade=needs,
            )
        elif (row.auto_score, row.needs_manual_grade) != (auto, needs):
            self._update(Grade, id=row.id, auto_score=auto, needs_manual_grade=needs)
        mark = manual if manual is not None else auto
        if mark is None:
            self.made.waiting += _most_points(name, result)
        return 0.0 if mark is None else mark + extra

    def _comment(self, cell: str, notebook: str, untouched: bool) -> None:
        comment = NO_RESPONSE if untouched else None
        row = self.recorded.comments.get((notebook, cell))
        if row is None:
            self._insert(Comment, id=new_uuid(), notebook_id=notebook, cell_id=cell, auto_comment=comment)
        elif row.auto_comment != comment:
            self._update(Comment, id=row.id, auto_comment=comment)

    def _insert(self, model: Any, **values: Any) -> None:
        self.made.inserts.setdefault(model.__name__, []).append(values)

    def _update(self, model: Any, **values: Any) -> None:
        self.made.updates.setdefault(model.__name__, []).append(values)

    def _may_change(self, change: MarkChange) -> bool:
        """Return whether a mark may change, and note that it does; a new mark always may."""
        if change.before is None or change.before == change.after:
            return True
        if wanted := self.recorder.selection.wants(change):
            self.made.changes.append(change)
        return wanted


def _waits(task: Any) -> bool:
    """Return whether a person has to mark a task: a new one, or one whose notebook was missing until now."""
    return task is None or task.auto_score is not None or bool(task.needs_manual_grade)


def _auto_score(name: str, result: NotebookResult) -> float | None:
    """Return the points of a cell, None if a person has to give them; a cell without a result has none."""
    test = next((test for test in result.tests if (test.grade_id or test.name) == name), None)
    if test is None:
        return 0.0
    return None if test.outcome in WAITING else float(test.points)


def _most_points(name: str, result: NotebookResult | None) -> float:
    """Return the points that a cell is worth."""
    tests = result.tests if result else ()
    return next((test.max_points for test in tests if (test.grade_id or test.name) == name), 0.0)


def _by_columns(rows: Iterable[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Group rows that have the same columns, as required by a single statement."""
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(tuple(row), []).append(row)
    return list(groups.values())
