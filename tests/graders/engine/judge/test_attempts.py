"""A notebook is worked through in order, and goes on after an attempt that was ended."""

from __future__ import annotations

import pytest
from studium_graders.engine.judge.events import Judged, Started

from .notebooks import answer, checked, given, grade, material, submission

CELLS = (
    given("limit = 10"),
    answer("def f(x):\n    return x"),
    checked("def near(a, b):\n    return a == b\nassert near(f(1), 1)"),
    checked("assert near(f(limit), 10)"),
)


def test_each_step_is_announced(student):
    notebook = material(*CELLS)
    events = grade(student, notebook, submission(notebook, "def f(x):\n    return x")).events
    assert [event.cell for event in events if isinstance(event, Started)] == ["given0", "answer1", "test2", "test3"]
    assert sum(isinstance(event, Judged) for event in events) == 2


def test_skipped_tests_are_not_run(student):
    notebook = material(*CELLS, checked("assert f(1) == 1"))
    graded = grade(student, notebook, submission(notebook, "def f(x):\n    return x"), skip={"test2"})
    assert {name: test.outcome for name, test in graded.results.items()} == {"test3": "failed", "test4": "passed"}


def test_a_skipped_answer_is_not_run(student):
    notebook = material(*CELLS)
    graded = grade(student, notebook, submission(notebook, "def f(x):\n    return x"), skip={"answer1"})
    assert [result.points for result in graded.results.values()] == [0, 0]
    assert student.run("f").error.startswith("NameError")


def test_what_is_done_is_run_again_only_where_others_may_build_on_it(student):
    notebook = material(answer("def f(x): ..."), *(checked(f"n{k} = f({k})") for k in range(2)), checked("assert n1"))
    graded = grade(student, notebook, submission(notebook, "def f(x):\n    return x"), done={"test1", "test2"})
    assert [event.cell for event in graded.events if isinstance(event, Started)] == ["answer0", "test2", "test3"]


def test_cells_graded_by_hand_wait_or_are_not_attempted(student):
    notebook = material(
        answer("x = 1", graded=True, points=2.0),
        answer("y = 1", graded=True, points=3.0),
        ("text", "Why?", {"graded": True, "points": 4.0}),
    )
    results = grade(student, notebook, submission(notebook, "x = 5", None)).results
    assert [(r.outcome, r.points, r.max_points) for r in results.values()] == [
        ("manual", 0, 2),
        ("not attempted", 0, 3),
        ("manual", 0, 4),
    ]


def test_an_untouched_answer_is_not_attempted_and_still_earns_what_it_earns(student):
    notebook = material(answer("def f(): ..."), checked("assert f()"), checked("assert True"))
    outcomes = [r.outcome for r in grade(student, notebook, submission(notebook, None)).results.values()]
    assert outcomes == ["not attempted", "passed"]


def test_what_a_cell_of_the_student_showed_is_passed_on(student):
    notebook = material(*CELLS)
    runs = grade(student, notebook, submission(notebook, "print('hello')\n1 / 0")).runs
    assert runs["answer1"].outputs[0]["text"] == "hello\n"
    assert "ZeroDivisionError" in runs["answer1"].error


@pytest.mark.parametrize("text", [None, "def f():\n    raise NotImplementedError()"])
def test_an_unwritten_answer_is_not_attempted(student, text):
    notebook = material(answer("def f(): ..."), checked("assert f()"))
    result = grade(student, notebook, submission(notebook, text)).only
    assert (result.mode, result.outcome, result.message) == ("unverified", "not attempted", "not attempted yet")


def test_a_test_gets_what_earlier_tests_defined(student):
    notebook = material(
        answer("def f(x): ..."),
        checked("import math\nLIMIT = 2\ndef near(a, b):\n    return math.isclose(a, b) and LIMIT"),
        checked("assert near(f(1), 1)"),
    )
    assert grade(student, notebook, submission(notebook, "def f(x):\n    return x")).points == [1, 1]
