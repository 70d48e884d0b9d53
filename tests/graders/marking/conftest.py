"""What the tests of marking share: a gradebook in which four students' answers wait for a person."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest

pytest.importorskip("nbgrader")

from nbgrader.api import Gradebook
from sqlalchemy.exc import SAWarning
from studium_graders.marking.desk import Desk
from studium_graders.marking.outline import Question

STUDENTS = ("ada", "bob", "cleo", "dan")
ESSAY, TEST, PART, TASK = "own/essay", "own/test", "own/part", "own/task"
OUTLINE = {
    question.name: question
    for question in (
        Question("own", "essay", "essay", "essay"),
        Question("own", "test", "test", "code"),
        Question("own", "part", "part", "code"),
        Question("own", "task", "task", "task"),
    )
}


class Clock:
    """A clock that only moves when it is told to."""

    def __init__(self) -> None:
        self.time = datetime(2026, 12, 2, 8)

    def __call__(self) -> datetime:
        return self.time

    def pass_(self, **length: float) -> None:
        self.time += timedelta(**length)


class Book:
    """A gradebook, and desks at which people mark it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.clock = Clock()
        self.content: dict[tuple[str, str], str] = {}

    def desk(self, person: str = "tom", sees: Callable[[str], bool] = lambda student: True) -> Desk:
        def content(student: str, notebook: str) -> str:
            return self.content.get((student, notebook), "")

        return Desk(self.url, "ps1", OUTLINE, person, sees, content, self.clock)

    def mark(self, student: str, cell: str = "essay") -> tuple[float | None, bool]:
        """What nbgrader's own API says: the mark by hand, and whether a person has to look."""
        with Gradebook(self.url) as book:
            grade = book.find_grade(cell, "own", "ps1", student)
            return grade.manual_score, grade.needs_manual_grade

    def comment(self, student: str, cell: str = "essay") -> str | None:
        with Gradebook(self.url) as book:
            found: str | None = book.find_comment(cell, "own", "ps1", student).manual_comment
            return found

    def in_the_formgrader(self, student: str, score: float, comment: str = "", cell: str = "essay") -> None:
        """Mark as the formgrader does."""
        with Gradebook(self.url) as book:
            grade = book.find_grade(cell, "own", "ps1", student)
            grade.manual_score, grade.needs_manual_grade = score, False
            book.find_comment(cell, "own", "ps1", student).manual_comment = comment
            book.db.commit()


@pytest.fixture
def book(tmp_path: Path) -> Book:
    """An essay of 5 points and a task of 3 that wait, and tests of 2 points and 1 that passed, with one answer."""
    return made(f"sqlite:///{tmp_path / 'gradebook.db'}")


@contextmanager
def nbgraders_warnings() -> Iterator[None]:
    """Let nbgrader add a submission as it does, with a warning of SQLAlchemy's that is harmless."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SAWarning)
        yield


def made(url: str, students: tuple[str, ...] = STUDENTS) -> Book:
    """Make the gradebook at ``url``."""
    with nbgraders_warnings(), Gradebook(url) as book:
        book.add_assignment("ps1")
        book.add_notebook("own", "ps1")
        for name, most in {"essay": 5, "test": 2, "part": 1}.items():
            book.add_grade_cell(name, "own", "ps1", max_score=most, cell_type="markdown" if most == 5 else "code")
        book.add_task_cell("task", "own", "ps1", max_score=3, cell_type="markdown")
        for name in ("essay", "code"):
            book.add_solution_cell(name, "own", "ps1")
        for student in students:
            book.add_student(student)
            book.add_submission("ps1", student)
            for grade in book.find_submission_notebook("own", "ps1", student).grades:
                grade.needs_manual_grade = grade.name in ("essay", "task")
                grade.auto_score = None if grade.needs_manual_grade else 1.0
        book.db.commit()
    return Book(url)
