"""An assignment as staff see it: where everyone stands with each exercise, and what needs the instructor now."""

from collections import Counter
from collections.abc import Callable
from typing import Literal, get_args

import msgspec
from studium_graders.report.mistakes import ExerciseMistakes, count_exercise

from studium_classroom.findings import Finding, Standing
from studium_classroom.roles import Place

Need = Literal["stuck", "not graded", "to mark", "regrade", "would change", "waiting", "late"]
"""Why a student needs the staff, the most urgent first.

``stuck``: three times the same mistake. ``not graded``: grading failed, and ``sentence`` says why. ``to mark``: the
gradebook waits for a mark by hand. ``regrade``: the student asks for a regrade and waits for a reply. ``would change``:
the gradebook has other marks than the student sees, who gets them when the assignment is graded again. ``waiting``:
handed in and not graded yet. ``late``: the newest attempt is late.
"""
NEEDS: tuple[Need, ...] = get_args(Need)


class Row(msgspec.Struct, frozen=True):
    """One student: the newest attempt, and the standing in each exercise that was tried or graded.

    ``needs`` tells why the student needs the staff: stuck, not graded, to mark (by hand), regrade (asks for one), would
    change (the gradebook has another mark), waiting (for a mark), late.
    """

    student: str
    section: str
    state: str
    attempts: int
    late: bool = False
    score: float | None = None
    max_score: float | None = None
    sentence: str = ""
    needs: list[Need] = []
    exercises: list[Standing] = []


class Status(msgspec.Struct, frozen=True):
    """An assignment as a member of staff sees it. ``problem`` is why grading has stopped, or "".

    ``queue`` counts the students by what they need; ``exercises`` counts outcomes and mistakes among the students
    listed, in the order of the assignment; ``sentences`` has the sentences of the mistakes by id.
    """

    course: str
    title: str
    assignment: str
    students: list[Row]
    problem: str
    queue: dict[Need, int]
    exercises: list[ExerciseMistakes]
    sentences: dict[str, str]


class History(msgspec.Struct, frozen=True):
    """What was found in one exercise of a student, newest first, and the sentences of the mistakes by id."""

    student: str
    exercise: str
    findings: list[Finding]
    sentences: dict[str, str]


class ClassState(msgspec.Struct, frozen=True):
    """An assignment with all students; each member of staff sees those they are responsible for."""

    course: str
    title: str
    assignment: str
    exercises: tuple[str, ...]
    rows: tuple[Row, ...]
    problem: str

    def seen_by(self, place: Place, sentence: Callable[[str], str]) -> Status:
        """Return what a member of staff may see; ``sentence`` turns a mistake's id into words."""
        rows = [row for row in self.rows if place.sees(row.section)]
        needs = Counter(need for row in rows for need in row.needs)
        counted = [_counted(name, rows) for name in self.exercises]
        mistakes = sorted({one.mistake for exercise in counted for one in exercise.mistakes})
        return Status(
            self.course,
            self.title,
            self.assignment,
            rows,
            self.problem,
            {need: needs[need] for need in NEEDS if needs[need]},
            counted,
            {mistake: sentence(mistake) or mistake for mistake in mistakes},
        )


def _counted(exercise: str, rows: list[Row]) -> ExerciseMistakes:
    standings = [one for row in rows for one in row.exercises if one.exercise == exercise]
    return count_exercise(exercise, standings, len(rows))
