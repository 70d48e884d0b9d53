"""What is known of a notebook before any answer."""

from __future__ import annotations

import pytest
from studium_graders.engine.judge.modes import PLAIN, plan_of
from studium_graders.engine.judge.prepare import prepare
from studium_graders.engine.judge.python_text import is_silenced

from .notebooks import answer, checked, given, material


def test_a_semicolon_at_the_end_hides_the_value():
    assert [is_silenced(source) for source in ("f();", "f(); # no", "f()", "';'")] == [True, True, False, False]


@pytest.mark.parametrize(
    "source",
    [
        "assert f(1) == 1",
        "%matplotlib inline\nassert f(1)",
        "def check():\n    assert f(1)\ncheck()",
        "for _ in [1]:\n    f(_)",
    ],
)
def test_a_test_is_about_the_answers_whose_names_it_reads(source):
    cells = answer("def f(x):\n    return x", grade_id="f"), answer("g = 1", grade_id="g"), checked(source)
    (test,) = prepare(material(*cells)).tests.values()
    assert test.answers == {"answer0"}


def late(*tests, first="pass"):
    """Return the names of the visible tests that count with the hidden ones."""
    notebook = material(given(first), answer("def f(x):\n    return x"), *tests)
    names = {cell.id: cell.grade_id for cell in notebook.cells}
    plan = plan_of(prepare(notebook))
    assert set(plan.reasons.values()) == {PLAIN}
    return {names[cell] for cell in plan.late}


HIDDEN = checked("x = f(1)", grade_id="hidden", hidden=True)


def test_a_visible_test_that_needs_what_is_hidden_counts_with_the_hidden_ones():
    assert late(HIDDEN, checked("assert x == 1", grade_id="reads")) == {"reads"}
    assert late(HIDDEN, checked("y = x", grade_id="reads"), checked("assert y", grade_id="next")) == {"reads", "next"}


@pytest.mark.parametrize(
    "own", ["x = 2\nassert f(2) == x", "for x in range(3):\n    assert f(x) == x", "assert f(2) == 2"]
)
def test_one_that_needs_nothing_hidden_does_not(own):
    assert late(HIDDEN, checked(own, grade_id="own")) == set()


def test_what_students_see_of_a_test_that_is_hidden_in_part_is_not_hidden():
    seen = checked("x = f(1)\nassert f(12345)", grade_id="in part", hidden=True, released="x = f(1)")
    assert late(seen, checked("assert x == 1", grade_id="reads")) == set()


def test_a_library_that_a_hidden_test_imports_as_well_is_not_hidden():
    hidden = checked("import math\nassert f(math.pi)", hidden=True)
    visible = checked("assert f(math.e)", grade_id="reads")
    assert late(hidden, visible, first="import math") == set()
    assert late(hidden, visible) == {"reads"}
