"""One test of a topic: what it earns, what is said, and when a person decides."""

from __future__ import annotations

import pytest
from studium import exercise
from studium_graders.engine.judge.canonical_text import CanonicalText
from studium_graders.engine.judge.exercise_tests import ExerciseTest
from studium_graders.engine.judge.judging import CHANGES, judge
from studium_graders.engine.judge.topic_test import TopicTest
from studium_graders.engine.judge_side.student_gone import StudentGone
from studium_graders.engine.material.assignment import Cell, NotebookMaterial

NOTEBOOK = NotebookMaterial("book", (), b"{}")
NONE = frozenset()


@exercise(points=2, minutes=1)
def ordered(numbers):
    """Return numbers in order, as a new list."""
    ### BEGIN SOLUTION
    return sorted(numbers)
    ### END SOLUTION


@ordered.test("puts them in order", points=1)
def _(ordered):
    numbers = [3, 1, 2]
    assert ordered(numbers) == [1, 2, 3]


@ordered.test("has as many as it was given", points=1)
def _(ordered):
    numbers = [3, 1, 2]
    assert len(ordered(numbers)) == len(numbers)


@ordered.test("spoils what it got", points=1)
def _(ordered):
    found = ordered([3, 1, 2])
    found.append(4)
    assert found[0] == 1


@ordered.hidden("leaves the numbers as they were", points=1, mutates_args=())
def _(ordered):
    assert ordered([3, 1, 2])[0] == 1


@ordered.misconception("You put them in the other order.", name="backwards")
def _(numbers):
    return sorted(numbers, reverse=True)


SOLUTION = "def ordered(numbers):\n    return sorted(numbers)\n"


def prepared(test, *, hidden=False, words=NONE, known=True):
    cell = Cell("cell", "test", "", "grade-id", 1.0, graded=True, hidden=hidden, topic="own", exercise="ordered")
    return TopicTest(NOTEBOOK, cell, ExerciseTest(ordered, ordered.tests[test]), "ordered", (0, 1), words, known)


@pytest.fixture
def judged(make_student):
    """judged(answer) → what became of a test of it."""

    def judge_it(source, test=0, **options):
        text = CanonicalText()
        text.add(source)
        return judge(prepared(test, **options), make_student(source), text)

    return judge_it


def test_the_solution_earns_the_points_and_needs_nothing(judged):
    for test in (0, 1):
        found = judged(SOLUTION, test, words=None)
        assert (found.result.outcome, found.result.points) == ("passed", 1.0)
        assert (found.words, found.reason) == (NONE, "")


def test_a_test_that_changes_what_it_got_cannot_run_apart(judged):
    assert judged(SOLUTION, 2, words=None).reason == CHANGES


def test_a_wrong_answer_fails_and_its_mistake_is_named(judged):
    wrong = "def ordered(numbers):\n    return sorted(numbers, reverse=True)\n"
    seen, hidden = judged(wrong), judged(wrong, hidden=True)
    assert (seen.result.outcome, seen.result.points) == ("failed", 0.0)
    assert seen.mistakes == hidden.mistakes == ["own.ordered:backwards"]
    assert "[1, 2, 3]" in seen.result.message
    assert hidden.result.message == "a hidden test of ordered failed: the result is not what is expected"


def test_an_error_is_told_with_the_line_of_the_answer(judged):
    assert judged("def ordered(numbers):\n    return numbers[7]\n").result.message == (
        "ordered raised IndexError: list index out of range, in the line `return numbers[7]`"
    )


def test_a_test_of_arguments_that_must_stay_runs_apart_and_says_which_one_was_changed(judged):
    kept = judged(SOLUTION, 3, words=None)
    assert (kept.result.outcome, kept.words, kept.reason) == ("passed", NONE, "")
    changed = judged("def ordered(numbers):\n    numbers.sort()\n    return numbers\n", 3)
    assert changed.result.outcome == "failed"
    assert "ordered changed its argument `numbers`, which must stay as it is" in changed.result.message


def test_who_sorts_in_place_where_nobody_looks_loses_nothing(judged):
    assert judged("def ordered(numbers):\n    numbers.sort()\n    return numbers\n").result.outcome == "passed"


def test_who_empties_the_argument_and_gives_it_back_earns_nothing(judged):
    emptied = "def ordered(numbers):\n    found = sorted(numbers)\n    numbers.clear()\n    return found\n"
    assert judged(emptied, 1).result.outcome == "failed"


def test_an_answer_that_counts_its_calls_and_changes_its_argument_waits_for_a_person(judged):
    counts = """
calls = []
def ordered(numbers):
    calls.append(0)
    numbers.sort()
    return list(numbers) if len(calls) == 1 else []
"""
    found = judged(counts).result
    assert (found.outcome, found.points) == ("review", 0.0)
    assert found.message == "your code does something else when the test runs a second time; a person will mark this"


OWN = """
class Vector(list):
    pass
def ordered(numbers):
    return Vector(sorted(numbers))
"""


def test_where_nobody_knows_what_the_reference_changes_a_failed_test_with_changes_waits(judged):
    emptied = "def ordered(numbers):\n    found = sorted(numbers)\n    numbers.clear()\n    return found[:1]\n"
    assert judged(emptied, 1).result.outcome == "failed"
    assert judged(emptied, 1, known=False).result.outcome == "review"


def test_an_object_of_its_own_waits_for_a_person_and_a_hidden_test_says_nothing_of_it(judged):
    seen, hidden = judged(OWN).result, judged(OWN, hidden=True).result
    assert seen.outcome == hidden.outcome == "review"
    assert "Vector" in seen.message
    assert hidden.message == "the judge cannot decide a hidden test on your answer; a person will mark this"


def test_a_function_that_is_not_there_or_is_none_is_told(judged):
    assert judged("x = 1").result.message == "ordered is not there: the cell that defines it did not run to its end"
    assert judged("ordered = 1").result.message == "ordered must be a function, and is a int"


def test_an_answer_that_says_itself_that_it_is_not_written_is_known(judged):
    assert judged("def ordered(numbers):\n    raise NotImplementedError\n").unwritten


def test_what_ends_the_process_ends_the_test(judged):
    with pytest.raises(StudentGone):
        judged("import os\ndef ordered(numbers):\n    os._exit(1)\n")
