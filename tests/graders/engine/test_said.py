"""What grading says of a wrong answer without a name: from recorded calls alone, and switched off for hidden tests."""

import msgspec
import pytest
from studium import exercise
from studium.exercises.explaining.budget import Budget
from studium.exercises.explaining.evidence import Told
from studium.exercises.explaining.sentences import explained
from studium.exercises.observation import Recorder
from studium_graders.engine.judge.events import Judged, Planned
from studium_graders.engine.judge.verdicts import result_of
from studium_graders.engine.material import results
from studium_graders.engine.material.assignment import CanonicalNotebook, Cell, NotebookMaterial
from studium_graders.engine.supervision.combining import Combining
from studium_graders.engine.supervision.passes import Ended, Kind, Pass
from studium_graders.results.mistakes import Sentences

from .conftest import LIMITS

SAID = "Yours is the negative of the right result."


@exercise(points=1, minutes=1)
def squares(x):
    return x**2


def told(answer, *calls):
    recorder = Recorder(answer)
    for x in calls:
        recorder.wrapped()(x)
    return Told("a test", hidden=True, error=AssertionError("no"), calls=recorder.calls)


def test_the_answer_is_not_called_again():
    calls = []
    tests = [told(lambda x: calls.append(x) or -(x**2), 2.0, 3.0, 5.0)]
    found = explained(squares, tests, squares.solution, Budget(60, interrupts=False), live=False)
    assert (found.sentence, found.smallest, len(calls)) == (SAID, "", 3)


@pytest.mark.parametrize("numbers", [True, False])
def test_no_number_is_said_where_the_answer_may_have_chosen_it(numbers):
    seen = told(lambda x: x**2 + 0.25, 2.0, 3.0, 5.0)
    tests = [Told(seen.name, False, seen.error, seen.calls)]
    found = explained(squares, tests, squares.solution, Budget(60), live=False, numbers=numbers)
    assert ("0.25" in found.sentence) is numbers


@pytest.mark.parametrize(("hidden", "allowed", "shown"), [(True, True, SAID), (True, False, ""), (False, False, SAID)])
def test_a_course_may_switch_off_what_comes_from_hidden_tests(hidden, allowed, shown):
    test = results.TestResult("squares", "a test", 0.0, 1.0, "failed", hidden=hidden, said=SAID)
    assert Sentences({}, hidden=allowed).about(test) == shown


def test_what_is_said_is_left_out_where_the_mistake_has_a_name():
    cells = [Cell(name, "test", "", name, 1.0, exercise="first") for name in ("a", "b")]
    book, ended = NotebookMaterial("book", tuple(cells), b"{}"), Ended()
    one = Pass(Kind(True, "apart"), book, None, ended, 0.0)
    one.heard.plan = Planned({"a": "", "b": ""}, frozenset())
    for cell in cells:
        result = msgspec.structs.replace(result_of(book, cell, "failed"), said=SAID)
        one.heard.note(Judged(result, mistakes=["m"]))
    found = Combining(book, CanonicalNotebook("book", (), b"{}"), [one], ended, LIMITS).result().tests
    assert {(test.mistake_id, test.said) for test in found} == {("m", "")}
