"""A function that changes its arguments although the reference does not."""

from __future__ import annotations

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


def test_an_answer_that_sorts_its_argument_and_is_right_anyway_passes(shell):
    assert graded(shell, "def total(items):\n    items.sort()\n    return sum(items)").points == 1


def test_an_answer_that_changes_what_the_reference_changes_passes(shell):
    reference = "def push(items):\n    items.append(1)\n    return items"
    test = "data = []\nassert push(data) is data\nassert data == [1]"
    assert graded(shell, "def push(items):\n    items += [1]\n    return items", test, reference=reference).points == 1
