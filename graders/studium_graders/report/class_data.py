"""The answers of one class to one assignment, as plain data from which the report is made."""

import msgspec

from studium_graders.class_list.absent import Absent
from studium_graders.engine.material.results import TestResult
from studium_graders.grading.answers.misconception_code import without_remarks
from studium_graders.grading.answers.same_answers import SameAnswers
from studium_graders.results.outcomes import ExerciseOutcome, outcome_of


class Item(msgspec.Struct, frozen=True):
    """One graded test. ``hidden``: its text must not be shown."""

    grade_id: str
    name: str
    points: float
    hidden: bool = False


class Exercise(msgspec.Struct, frozen=True):
    """One answer cell and the tests that grade it.

    ``topic`` is "" in courses that are not Studium's. ``given`` are the stub and the other code that students got,
    ``right`` the solution and the other registered right answers: code that everybody may share.
    """

    notebook: str
    id: str
    items: tuple[Item, ...]
    topic: str = ""
    given: tuple[str, ...] = ()
    right: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The name shown to people: "lora.merge"."""
        return f"{self.topic or self.notebook}.{self.id}"


class Answer(msgspec.Struct, frozen=True):
    """What one student wrote for an exercise, and the results of its tests, by grade id."""

    source: str
    tests: dict[str, TestResult]

    @property
    def outcome(self) -> ExerciseOutcome:
        """Return "right", "wrong" or "not attempted", as a check would."""
        return outcome_of(test.outcome for test in self.tests.values())

    @property
    def mistakes(self) -> tuple[str, ...]:
        """The ids of the mistakes that were recognised, sorted."""
        return tuple(sorted({test.mistake_id for test in self.tests.values()} - {""}))

    @property
    def is_unnamed(self) -> bool:
        """Whether it is wrong and no registered mistake explains it."""
        return self.outcome == "wrong" and not self.mistakes


class ClassData(msgspec.Struct, frozen=True):
    """A class. ``answers`` has, by student, the answer to each exercise (in the order of ``exercises``).

    An answer is None if the notebook was not handed in or could not be read. ``notes`` are sentences for the instructor
    about what is missing. ``same`` covers all answer cells, including those that a person marks.
    ``absent`` are the students of the class who handed in nothing.
    """

    assignment: str
    exercises: tuple[Exercise, ...]
    answers: dict[str, tuple[Answer | None, ...]]
    title: str = ""
    notes: tuple[str, ...] = ()
    same: SameAnswers = SameAnswers()
    absent: Absent = Absent()

    @property
    def students(self) -> list[str]:
        """The students, in the order of ``answers``."""
        return list(self.answers)

    def of(self, index: int) -> dict[str, Answer]:
        """Return the answers to one exercise, by student."""
        return {student: answer for student, row in self.answers.items() if (answer := row[index])}


def anonymous(data: ClassData) -> ClassData:
    """Return the same class with numbers instead of students' ids, in an order that reveals nothing about them.

    Comments and docstrings, in which students write their names, are removed from the answers.
    """
    rows = [(tuple(answer and _bare(answer) for answer in row), student) for student, row in data.answers.items()]
    rows.sort(key=lambda row: [answer.source if answer else "" for answer in row[0]])
    digits = len(str(len(rows)))
    numbers = {student: f"student {number:0{digits}}" for number, (_, student) in enumerate(rows, 1)}
    answers = {numbers[student]: row for row, student in rows}
    rest = {"same": data.same.anonymous(numbers), "absent": data.absent.anonymous()}
    return msgspec.structs.replace(data, answers=answers, **rest)


def _bare(answer: Answer) -> Answer:
    return msgspec.structs.replace(answer, source=without_remarks(answer.source))
