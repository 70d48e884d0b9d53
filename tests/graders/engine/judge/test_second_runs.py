"""A test that passed by what a right answer does not give is run once more: there, nothing else of the kind helps."""

from __future__ import annotations

import pytest

from .notebooks import answer, checked, given, material, submission
from .processes import calibrate, grade_forked

GIVEN = given("import numpy as np\n")
DOUBLE = "def double(xs):\n    return [2 * x for x in xs]\n"
COUNTED = """
import numpy as np
runs = 0
def double(xs):
    global runs
    runs += 1
    if runs {} 1:
        {}
    {}
"""
NAN = "return [float('nan')] * 3"
CHANGED = "xs[:] = [0.0] * 3\n{}return [0.0] * 3"
EMPTIED = "xs.clear()\n    return []"
NOTHING = "return np.empty((0, 1))"
LOOP = """
xs = [1.0, 2.0, 3.0]
for a, b in zip(double(xs), {}):
    if abs(a - b) > 1e-9:
        raise ValueError
"""
CLOSE = "xs = [1.0, 2.0, 3.0]\nassert np.allclose(double(xs), [2 * x for x in xs])"
OF_XS = "[2 * x for x in xs]"
CHEATS = {
    "fewer items after NaN": (LOOP.format("[2, 4, 6]"), COUNTED.format("==", NAN, "return [2 * xs[0]]")),
    "changed arguments after NaN": (LOOP.format(OF_XS), COUNTED.format("==", NAN, CHANGED.format("    "))),
    "emptied arguments after NaN": (LOOP.format(OF_XS), COUNTED.format("==", NAN, EMPTIED)),
    "nothing after changed arguments": (CLOSE, COUNTED.format("==", CHANGED.format("        "), NOTHING)),
    "nothing between changed arguments": (
        CLOSE,
        COUNTED.format("!=", "if runs == 2:\n            " + NOTHING, CHANGED.format("    ")),
    ),
}


@pytest.mark.parametrize(("test", "text"), CHEATS.values(), ids=CHEATS)
def test_an_answer_that_does_otherwise_when_a_test_runs_again_earns_nothing(shell, test, text):
    notebook = material(GIVEN, answer(DOUBLE), checked(test))
    calibration = calibrate(shell, notebook)
    assert not calibration.one_process
    assert grade_forked(shell, notebook, submission(notebook, text), calibration).points == [0]
    sorts = "def double(xs):\n    xs.sort()\n    return np.array(xs) * 2\n"
    assert grade_forked(shell, notebook, submission(notebook, sorts), calibration).points == [1]
