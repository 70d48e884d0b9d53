"""Names that answers import: a test finds the judge's own library under one, where the student's process has it."""

from __future__ import annotations

import pytest

from .notebooks import answer, checked, given, grade, material, submission
from .processes import calibrate, grade_forked

REFERENCE = "import math as m\nfrom statistics import mean\n"


def graded(shell, text, test, *before):
    notebook = material(*before, answer(REFERENCE), checked(test))
    return grade_forked(shell, notebook, submission(notebook, text), calibrate(shell, notebook)).only


@pytest.mark.parametrize(
    "test",
    [
        "assert m.sqrt(4) == 2",
        "assert mean([1, 3]) == 2",
        "assert 'm' in dir()",
        "assert 'mean' in globals()",
        "def root(x):\n    return m.sqrt(x)\nassert root(4) == 2",
    ],
)
@pytest.mark.parametrize(
    ("text", "points"),
    [
        (REFERENCE, 1),
        ("import statistics, math\nm, mean = math, statistics.mean", 1),
        ("import math\nimport statistics", 0),
        ("x = 1", 0),
    ],
)
def test_a_test_finds_what_the_solution_imports_where_the_answer_has_it(shell, text, points, test):
    result = graded(shell, text, test)
    assert (result.points, result.mode) == (points, "verified")


def test_under_such_a_name_the_test_has_the_library_itself(shell):
    text = "class m:\n    sqrt = staticmethod(lambda x: 3)\ndef mean(items): return 3"
    assert graded(shell, "import math as m\ndef mean(items): return 3", "assert mean([1, 3]) == 2").points == 1
    assert graded(shell, text, "assert m.sqrt(4) == 2 and mean([1, 3]) == 2").points == 1
    assert graded(shell, text, "assert m.sqrt(4) == 3 and mean([1, 3]) == 3").points == 0


def test_what_a_given_cell_imports_too_is_there_whatever_the_answer_does(shell):
    assert graded(shell, "import statistics", "assert m.sqrt(4) == 2", given("import math as m")).points == 1


@pytest.mark.parametrize(
    "test", ["assert m.sqrt(4) == 2", "assert mean([1, 3]) == 2", "assert mean.__name__ == 'mean'"]
)
def test_another_module_or_function_under_the_name_is_not_what_is_to_be_imported(shell, test):
    result = graded(shell, "import cmath as m\nfrom statistics import median as mean", test)
    assert (result.points, result.mode) == (0, "verified")
    assert "is something else than what is to be imported under that name" in result.message


def test_the_student_is_asked_for_an_imported_name_once(student):
    notebook = material(answer(REFERENCE), checked("assert [m.sqrt(4) for _ in range(100)] == [2] * 100"))
    asked = []
    has = student.has
    student.has = lambda name: asked.append(name) or has(name)
    graded = grade(student, notebook, submission(notebook, REFERENCE))
    assert graded.points == [1]
    assert asked == ["m"]
