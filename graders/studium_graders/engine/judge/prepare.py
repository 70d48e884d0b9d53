"""What can be known of a notebook before anybody's answer: done once, before any fork."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from studium.exercises.model import Exercise

from studium_graders.engine.judge.exercise_tests import ExerciseTest, exercise_test
from studium_graders.engine.judge.late import late_tests
from studium_graders.engine.judge.names import names_bound, names_made, names_read
from studium_graders.engine.material.assignment import Cell, NotebookMaterial


@dataclass(frozen=True)
class PreparedTest:
    """A test cell. ``answers`` are the ids of the answer cells that it is about, ``makes`` names it binds or changes.

    ``exercise_test`` is the test of an installed topic from which the cell was written, None for a plain one.
    """

    cell: Cell
    answers: frozenset[str]
    makes: frozenset[str]
    exercise_test: ExerciseTest | None = None


@dataclass(frozen=True)
class Prepared:
    """A notebook of the material, ready to judge answers. ``as_released`` is the same without its hidden tests.

    ``bound`` has the names that the answers are to bind, by cell. ``late`` are visible tests that need a hidden one.
    """

    material: NotebookMaterial
    tests: Mapping[str, PreparedTest]
    bound: Mapping[str, frozenset[str]]
    late: frozenset[str] = frozenset()
    as_released: "Prepared | None" = None


Exercises = Callable[[str], Mapping[str, Exercise]]


def prepare(material: NotebookMaterial, exercises: Exercises = lambda topic: {}) -> Prepared:
    """Read a notebook. ``exercises`` gives the exercises of an installed topic by its slug, or raises."""
    prepared = _prepare(material, exercises)
    if not any(cell.hidden for cell in material.cells):
        return prepared
    released = _prepare(material.as_released(), exercises)
    plain = [cell for cell in material.cells if cell.id not in prepared.tests or _is_plain(prepared, cell)]
    return replace(prepared, late=frozenset(late_tests(plain)), as_released=released)


def _prepare(material: NotebookMaterial, exercises: Exercises) -> Prepared:
    answers = (cell for cell in material.cells if cell.kind == "answer")
    bound = {cell.id: names_bound(cell.source) | names_bound(cell.reference) for cell in answers}

    def test(cell: Cell) -> PreparedTest:
        reads = names_read(cell.source)
        about = frozenset(answer for answer, names in bound.items() if names & reads)
        return PreparedTest(cell, about, names_made(cell.source), exercise_test(cell, exercises))

    return Prepared(material, {cell.id: test(cell) for cell in material.cells if cell.kind == "test"}, bound)


def _is_plain(prepared: Prepared, cell: Cell) -> bool:
    return prepared.tests[cell.id].exercise_test is None
