"""Of all tests of an exercise, more than half of those that failed decide which mistake is named."""

from studium_graders.engine.judge.events import Judged, Planned
from studium_graders.engine.judge.verdicts import result_of
from studium_graders.engine.material.assignment import CanonicalNotebook, Cell, NotebookMaterial
from studium_graders.engine.supervision.combining import Combining
from studium_graders.engine.supervision.passes import Ended, Kind, Pass

from .conftest import LIMITS

PASSED: list[str] = []
UNWRITTEN: list[str] = []


def graded(found, hidden=()):
    """graded({"one": [mistakes] or None or PASSED, …}) → the result of each test of one exercise."""
    cells = [Cell(name, "test", "", name, 1.0, hidden=name in hidden, exercise="first") for name in found]
    book, ended = NotebookMaterial("book", tuple(cells), b"{}"), Ended()
    passes = [Pass(Kind(released, "apart"), book, None, ended, 0.0) for released in (True, False)]
    for one in passes:
        one.heard.plan = Planned(dict.fromkeys(found, ""), frozenset())
        for cell in cells:
            if cell.hidden is not one.kind.released:
                mistakes = found[cell.id]
                result = result_of(book, cell, "passed" if mistakes is PASSED else "failed")
                one.heard.note(Judged(result, mistakes=mistakes, unwritten=mistakes is UNWRITTEN))
    return Combining(book, CanonicalNotebook("book", (), b"{}"), passes, ended, LIMITS).result().tests


def named(found, hidden=()):
    """The mistake that each test names."""
    return {test.grade_id: test.mistake_id for test in graded(found, hidden)}


def test_a_mistake_of_most_failed_tests_is_named_in_these():
    assert named({"a": ["m"], "b": ["n", "m"], "c": [], "d": PASSED}) == {"a": "m", "b": "m", "c": "", "d": ""}


def test_a_mistake_of_half_the_failed_tests_is_not_named():
    assert named({"a": ["m"], "b": []}) == {"a": "", "b": ""}


def test_a_test_that_says_nothing_of_mistakes_is_not_counted():
    assert named({"a": ["m"], "b": None}) == {"a": "m", "b": ""}


def test_hidden_tests_have_no_say_in_what_visible_ones_name():
    found = {"a": ["m"], "b": ["n"], "c": ["n"]}
    assert named(found, hidden=("b", "c")) == {"a": "m", "b": "n", "c": "n"}


def test_an_exercise_is_not_attempted_if_no_test_of_it_found_it_written():
    outcomes = [test.outcome for test in graded({"a": UNWRITTEN, "b": UNWRITTEN}, hidden=("b",))]
    assert outcomes == ["not attempted", "not attempted"]
    assert [test.outcome for test in graded({"a": UNWRITTEN, "b": ["m"]})] == ["failed", "failed"]
