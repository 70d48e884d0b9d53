"""What grading says of a wrong answer without a name: from recorded calls alone, and switched off for hidden tests."""

import pytest
from studium import exercise
from studium.explaining.budget import Budget
from studium.explaining.evidence import Told
from studium.explaining.sentences import explained
from studium.observation import Recorder
from studium_graders.engine.judge.events import Judged
from studium_graders.engine.material import results
from studium_graders.mistakes import Sentences

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


def test_what_is_said_is_left_out_where_the_mistake_has_a_name(material):
    from types import SimpleNamespace

    from studium_graders.engine.supervision.supervisor import Supervisor, _Grading

    from .conftest import LIMITS

    (book,) = material.notebooks
    grading = _Grading(
        Supervisor(None, None, LIMITS), book, SimpleNamespace(notebook=SimpleNamespace(notes=(), steps=())), None
    )
    for name, mistakes in (("a", ["m"]), ("b", ["m"])):
        result = results.TestResult("first", name, 0.0, 1.0, "failed", grade_id=name, said=SAID)
        grading.heard.note(Judged(result, mistakes=mistakes))
    grading.result()
    assert {(test.mistake_id, test.said) for test in grading.heard.results.values()} == {("m", "")}
