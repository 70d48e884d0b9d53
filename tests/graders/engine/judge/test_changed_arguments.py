"""A function that changes its arguments although the reference does not."""

from __future__ import annotations

import pytest
from studium_graders.engine.material import Calibration

from .notebooks import answer, checked, material, submission
from .processes import calibrate, grade_forked

REFERENCE = "def total(items):\n    return sum(items)"
TEST = "data = [3, 1, 2]\nassert total(data) == sum(data)"


def graded(shell, text, *tests, reference=REFERENCE):
    notebook = material(answer(reference), *(checked(test) for test in tests or (TEST,)))
    calibration = calibrate(shell, notebook)
    assert calibration.known
    assert isinstance(calibration, Calibration)
    return grade_forked(shell, notebook, submission(notebook, text), calibration).only


def test_an_answer_that_empties_the_test_data_to_be_right_fails(shell):
    result = graded(shell, "def total(items):\n    items.clear()\n    return 0")
    assert (result.points, result.outcome) == (0, "failed")
    assert result.message == "your function changed its arguments, which this test does not expect"


SCORED = """
score = 0
for data in ([5, 3, 8], [-5, -3, -8]):
    if largest(data) == max(data):
        score += 2
score
"""


@pytest.mark.parametrize(
    ("body", "points"),
    [
        ("items[:] = [0]\n    return 0", 0),
        ("items.append(max(items))\n    items[:] = items[-1:] * 3\n    return 8", 2),
        ("items.sort()\n    return items[-1]", 4),
    ],
)
def test_partial_credit_is_the_lesser_of_what_both_runs_give(shell, body, points):
    reference, test = "def largest(items):\n    return max(items)", checked(SCORED, points=4.0)
    notebook = material(answer(reference), test)
    text = f"def largest(items):\n    {body}"
    result = grade_forked(shell, notebook, submission(notebook, text), calibrate(shell, notebook)).only
    assert result.points == points


def test_an_answer_that_sorts_its_argument_and_is_right_anyway_passes(shell):
    assert graded(shell, "def total(items):\n    items.sort()\n    return sum(items)").points == 1


def test_an_answer_that_changes_what_the_reference_changes_passes(shell):
    reference = "def push(items):\n    items.append(1)\n    return items"
    test = "data = []\nassert push(data) is data\nassert data == [1]"
    assert graded(shell, "def push(items):\n    items += [1]\n    return items", test, reference=reference).points == 1


GRID = """
class Grid:
    def __init__(self, *items):
        self.items = list(items)
    def __getitem__(self, k):
        return self.items[k]
    def __setitem__(self, k, value):
        self.items[k] = value
data = Grid(3, 1, 2)
assert first(data) == data.items[0]
"""


@pytest.mark.parametrize(("text", "points"), [("return data[0]", 1), ("data[0] = 7\n    return 7", 0)])
def test_an_item_that_is_set_in_an_object_of_the_test_is_a_change(shell, text, points):
    reference = "def first(data):\n    return data[0]"
    assert graded(shell, f"def first(data):\n    {text}", GRID, reference=reference).points == points
