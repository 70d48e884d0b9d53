"""NaN passes a test that says what may not be, for no comparison with it is true: it earns nothing by that."""

from __future__ import annotations

import pytest

from .notebooks import answer, checked, given, material, submission
from .processes import calibrate, grade_forked

IMPORTS = given("import numpy as np\nimport torch")
NAN = "float('nan')"


def points(shell, reference, text, test):
    notebook = material(IMPORTS, answer(f"def f(x):\n    return {reference}\n"), checked(test))
    calibration = calibrate(shell, notebook)
    assert not calibration.one_process
    return grade_forked(
        shell, notebook, submission(notebook, f"def f(x):\n    return {text}\n"), calibration
    ).only.points


ALONE = {
    NAN: "x + 1.5",
    "complex('nan')": "x + 1.5",
    "np.float64('nan')": "x + 1.5",
    "np.array(np.nan)": "np.array(x + 1.5)",
    "torch.tensor(float('nan'))": "torch.tensor(x + 1.5)",
    "torch.tensor(1.0, requires_grad=True) * float('nan')": "torch.tensor(x + 1.5)",
}


@pytest.mark.parametrize("text", ALONE)
def test_nan_is_not_near_a_number_because_it_is_not_far_from_it(shell, text):
    test = "if abs(f(1) - 2.5) > 1e-6:\n    raise AssertionError('far away')"
    assert points(shell, ALONE[text], text, test) == 0
    assert points(shell, ALONE[text], "x + 1.5", test) == 1


@pytest.mark.parametrize("form", ["[{}]", "[{}] * 30", "({},)", "{{0: {}}}"])
def test_nor_is_it_inside_of_a_container(shell, form):
    test = "if f(1)[0] < 2 or f(1)[0] > 3:\n    raise AssertionError('out of bounds')"
    assert points(shell, form.format("x + 1.5"), form.format(NAN), test) == 0


@pytest.mark.parametrize("text", ["x * np.nan", "np.zeros(0)"])
def test_neither_it_nor_nothing_is_between_two_numbers(shell, text):
    test = "r = f(np.array([-1., 0.5, 2.]))\nassert not np.any(r < 0) and not np.any(r > 1)"
    assert points(shell, "np.clip(x, 0, 1)", text, test) == 0
    assert points(shell, "np.clip(x, 0, 1)", "x.clip(0, 1)", test) == 1


RIGHT = {
    "the reference gives none of a value": ("None", NAN, "assert f(1) is None or np.isnan(f(1))"),
    "the reference gives none of an item": ("[1, None]", f"[1, {NAN}]", "assert f(1)[1] is None or np.isnan(f(1)[1])"),
    "the reference gives it too": (f"[{NAN}, 1.0]", f"[{NAN}, 1.0]", "assert np.isnan(f(1)[0]) and f(1)[1] == 1"),
    "an array of the reference's has it": ("np.array([np.nan])", "np.full(1, np.nan)", "assert np.isnan(f(1)).all()"),
    "the test does not look at it": ("np.array([1.0, 0.0])", "np.array([1.0, np.nan])", "assert f(1)[0] == 1"),
}


@pytest.mark.parametrize(("reference", "text", "test"), RIGHT.values(), ids=RIGHT)
def test_it_is_right_where(shell, reference, text, test):
    assert points(shell, reference, text, test) == 1
