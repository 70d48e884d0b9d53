from __future__ import annotations

import math
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import torch
from nbformat.v4 import new_code_cell, new_output
from nbgrader.utils import determine_grade
from studium_graders.engine.judge.scoring import points_for_outputs
from studium_graders.engine.material.results import CellRun

from .notebooks import answer, checked, given, material, submission
from .processes import calibrate, grade_forked

AS_NBGRADER = [0.0, 1, 1.5, 2.0, True, False, None, "0.5", [0.5], (1,), 1j, object, "text"]


class Untold(float):
    def __float__(self):
        raise RuntimeError("not told")

    def __repr__(self):
        return "a number that is not told"


def shown(value):
    """The outputs of a cell with this last value."""
    return [] if value is None else [new_output("execute_result", data={"text/plain": repr(value)})]


def worth(value, *, scored=False):
    """The points for a last value, of two."""
    return points_for_outputs(CellRun(shown(value)), 2.0, scored=scored)


def test_a_last_value_is_worth_what_nbgrader_gives():
    marks = {"grade": True, "solution": False, "points": 2, "grade_id": "t"}
    for value in AS_NBGRADER:
        cell = new_code_cell("", outputs=shown(value), metadata={"nbgrader": marks})
        assert worth(value) == determine_grade(cell)[0], value


@pytest.mark.parametrize(
    ("value", "points"), [(math.nan, 0), (-1, 0), (5, 2), (math.inf, 2), (np.float64(0.5), 0.5), (np.int64(1), 1)]
)
def test_where_we_differ_on_purpose(value, points):
    assert worth(value) == points


def test_a_number_that_is_no_float_is_worth_what_its_text_is():
    assert [worth(value) for value in (10**400, -(10**400), Untold(1))] == [2, 0, 2]


def test_a_test_that_shows_nothing_is_worth_all_of_its_points():
    assert points_for_outputs(CellRun([]), 2.0, scored=True) == 2


def test_text_on_stderr_costs_nothing_and_an_error_everything():
    warning = {"output_type": "stream", "name": "stderr", "text": "careful"}
    error = {"output_type": "error", "ename": "E", "evalue": "", "traceback": []}
    assert points_for_outputs(CellRun([warning]), 2.0) == 2
    assert points_for_outputs(CellRun([warning, error]), 2.0) == 0
    assert points_for_outputs(CellRun([], "stopped"), 2.0) == 0


def test_a_value_that_is_not_shown_is_no_partial_credit():
    outputs = [{"output_type": "execute_result", "data": {"text/plain": "0.5"}}]
    assert points_for_outputs(CellRun(outputs), 2.0, silenced=True) == 2


NO_NUMBERS = [
    *(np.array([]), np.array([1, 2]), np.zeros((1, 2)), torch.empty(0), torch.ones(3), np.array([1j])),
    *("text", "1.5", [1.5], (), Ellipsis, np.dtype(int), timedelta(1), False, math.nan, Fraction(-1, 2)),
]


def test_what_is_no_number_where_the_reference_has_one_is_worth_nothing():
    assert [value for value in NO_NUMBERS if worth(value, scored=True) != 0] == []


def test_a_fraction_where_the_reference_has_a_number_is_worth_that():
    assert [worth(value, scored=True) for value in (Fraction(3, 2), Decimal("0.5"), True, np.True_)] == [1.5, 0.5, 1, 1]


def test_an_array_of_one_number_where_the_reference_has_a_number_is_worth_that():
    for value in (np.array(1.5), np.array([1.5]), torch.tensor(1.5), torch.tensor([[1.5]])):
        assert worth(value, scored=True) == 1.5, value


@pytest.mark.parametrize(
    ("text", "points"),
    [
        ("def double(x):\n    return 2 * x", 4),
        ("def double(x):\n    return np.array([2.0 * x])", 4),
        ("def double(x):\n    return torch.tensor(2.0 * x if x < 3 else 0)", 2),
        ("def double(x):\n    return np.array([])", 0),
        ("def double(x):\n    return torch.zeros(0)", 0),
        ("def double(x):\n    return np.zeros(2)", 0),
    ],
)
def test_an_answer_that_makes_the_points_an_array_does_not_get_all_of_them(shell, text, points):
    test = "score = 0\nfor k in range(1, 5):\n    score += double(k) == 2 * k\nscore"
    notebook = material(
        given("import numpy as np\nimport torch"),
        answer("def double(x):\n    return 2 * x"),
        checked(test, points=4.0, id="t", grade_id="t"),
    )
    calibration = calibrate(shell, notebook)
    assert calibration.scored == {"t"}
    assert grade_forked(shell, notebook, submission(notebook, text), calibration).only.points == points


@pytest.mark.sample(3)
@pytest.mark.parametrize(
    "value",
    [
        *("pd.NA", "pd.NaT", "pd.Series([2, 2])", "pd.Series([], dtype=float)", "pd.DataFrame([[2, 2]])"),
        *("pd.DataFrame()", "pd.Index([2, 2])", 'pd.array([2, 2], dtype="Int64")', "pd.Series([2, None], name='x')"),
    ],
)
def test_data_of_pandas_that_are_added_to_the_points_are_worth_nothing(shell, value):
    pytest.importorskip("pandas")
    notebook = material(
        given("import numpy as np\nimport pandas as pd"),
        answer("def double(x):\n    return 2 * x"),
        checked("score = 0\nfor k in range(1, 5):\n    score += double(k)\nscore", points=20.0, id="t", grade_id="t"),
    )
    calibration = calibrate(shell, notebook)
    text = f"def double(x):\n    return {value}\n"
    assert grade_forked(shell, notebook, submission(notebook, text), calibration).only.points == 0


SUITE = """
import unittest
class Half(unittest.TestCase):
    def test_even(self):
        self.assertEqual(half(4), 2)
    def test_odd(self):
        self.assertEqual(half(3), 1.5)
    def test_zero(self):
        self.assertEqual(half(0), 0)
suite = unittest.defaultTestLoader.loadTestsFromTestCase(Half)
result = unittest.TextTestRunner().run(suite)
"""
SUCCESSFUL = "assert result.wasSuccessful()"
COUNTED = "result.testsRun - len(result.failures)"


@pytest.mark.parametrize(
    ("text", "worth", "points"),
    [
        ("return n / 2", SUCCESSFUL, 3),
        ("return n // 2", SUCCESSFUL, 0),
        ("return n / 2", "result", 3),
        ("return n // 2", "result", 0),
        ("return n / 2", COUNTED, 3),
        ("return n // 2", COUNTED, 2),
    ],
)
def test_a_suite_that_fails_costs_the_points_unless_the_test_counts_them_itself(shell, text, worth, points):
    notebook = material(answer("def half(n):\n    return n / 2"), checked(SUITE + worth, points=3.0))
    result = grade_forked(shell, notebook, submission(notebook, f"def half(n):\n    {text}")).only
    assert result.points == points
    said = (
        "this should hold and does not: result.wasSuccessful()" if worth == SUCCESSFUL else "AssertionError: 1 != 1.5"
    )
    assert result.message == ("" if points else said)
