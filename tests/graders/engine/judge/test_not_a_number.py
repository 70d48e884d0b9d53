"""NaN passes a test that says what may not be, for no comparison with it is true: it earns nothing by that."""

from __future__ import annotations

import pytest

from .notebooks import answer, checked, given, material, submission
from .processes import calibrate, grade_forked, grade_split

IMPORTS = given("""import array, datetime
import numpy as np, pandas as pd, torch
from decimal import Decimal
from scipy import sparse
from torch import nn
class Short(Exception):
    def __init__(self, need):
        self.need = need
""")
NAN = "float('nan')"


def points(shell, reference, text, test):
    notebook = material(IMPORTS, answer(f"def f(x):\n    return {reference}\n"), checked(test))
    return grade_split(shell, notebook, f"def f(x):\n    return {text}\n").only.points


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


LEAF = "torch.full((2,), float('nan'), requires_grad=True)"
FAR = "if abs({} - {}).max() > 1e-6:\n    raise AssertionError('far away')"
RECORDS = "np.array([({}, 2)], [('a', float), ('b', int)])"
ONES, NUMBERS = "torch.ones(2)", "pd.Series([1.0, 2.0])"
FORMS = {
    "a leaf": (LEAF, ONES, FAR.format("f(1)", 1)),
    "a parameter": (f"nn.Parameter({LEAF})", ONES, FAR.format("f(1)", 1)),
    "a layer": (f"nn.ParameterList([{LEAF}])", f"nn.ParameterList([{ONES}])", FAR.format("f(1)[0]", 1)),
    "a sparse tensor": (f"{LEAF}.detach().to_sparse()", ONES, FAR.format("f(1).to_dense()", 1)),
    "an array of another kind": ("array.array('d', [np.nan])", "[1.0]", "assert not abs(f(1)[0] - 1) > 1e-6"),
    "memory": ("memoryview(np.array([np.nan]))", "[1.0]", "assert not abs(f(1)[0] - 1) > 1e-6"),
    "a record": (RECORDS.format("np.nan"), RECORDS.format("x"), FAR.format("f(1)['a']", 1)),
    "a sparse matrix": (
        "sparse.csr_matrix(np.eye(2)) * np.nan",
        "sparse.csr_matrix(np.eye(2))",
        FAR.format("f(1)", "sparse.csr_matrix(np.eye(2))"),
    ),
    "a decimal": ("Decimal('nan')", "Decimal(x)", "assert not abs(float(f(1)) - 1) > 1e-6"),
    "a column": (
        "pd.DataFrame({'a': [1.0, np.nan]})",
        "pd.DataFrame({'a': [1.0, 2.0]})",
        FAR.format("f(1)['a']", NUMBERS),
    ),
    "a series of objects": ("pd.Series([1.0, np.nan], dtype=object)", NUMBERS, FAR.format("f(1)", NUMBERS)),
    "a series that may lack some": ("pd.Series([1, None], dtype='Int64')", NUMBERS, FAR.format("f(1)", NUMBERS)),
}


@pytest.mark.parametrize(("text", "reference", "test"), FORMS.values(), ids=FORMS)
def test_neither_is_it_in(shell, text, reference, test):
    assert points(shell, reference, text, test) == 0
    assert points(shell, reference, reference, test) == 1


DAY = "datetime.datetime(2024, 1, 8)"
BETWEEN = f"if f(1) < {DAY} or f(1) > {DAY}:\n    raise AssertionError('another day')"


@pytest.mark.parametrize("text", ["pd.NaT", "pd.Series([pd.NaT])[0]"])
def test_a_time_that_is_none_is_neither_before_nor_after_another(shell, text):
    assert points(shell, DAY, text, BETWEEN) == 0


@pytest.mark.parametrize("text", ["np.array(['NaT'], 'M8[D]')", "pd.Series([pd.NaT])"])
def test_nor_is_one_of_an_array(shell, text):
    test = "assert not (abs(f(1) - np.datetime64('2024-01-08')) > np.timedelta64(0, 'D')).any()"
    assert points(shell, "np.array(['2024-01-08'], 'M8[D]')", text, test) == 0


CHANGED = {
    "a weight": ("p.data.fill_(1.0)", "p.data.fill_(np.nan)", "torch.nn.Parameter(torch.zeros(2))", "abs(a - 1).max()"),
    "an array": ("p[:] = 1", "p[:] = np.nan", "np.zeros(2)", "abs(a - 1).max()"),
    "a list": ("p[:] = [1.0]", "p[:] = [np.nan]", "[0.0]", "abs(a[0] - 1)"),
}


@pytest.mark.parametrize(("right", "wrong", "made", "error"), CHANGED.values(), ids=CHANGED)
def test_it_is_as_little_in_what_a_call_changes(shell, right, wrong, made, error):
    test = f"a = {made}\nf(a)\nif {error} > 1e-6:\n    raise AssertionError('far away')"
    notebook = material(IMPORTS, answer(f"def f(p):\n    {right}\n"), checked(test))
    calibration = calibrate(shell, notebook)
    for line, earned in ((wrong, 0), (right, 1)):
        graded = grade_forked(shell, notebook, submission(notebook, f"def f(p):\n    {line}\n"), calibration)
        assert graded.only.points == earned


def test_a_tensor_that_was_there_before_the_test_is_none_in_it_as_well(shell):
    notebook = material(IMPORTS, answer("def f(x):\n    return torch.ones(2)\n"), checked(FAR.format("f(1)", 1)))
    text = f"P = {LEAF}\ndef f(x):\n    return P\n"
    assert grade_forked(shell, notebook, submission(notebook, text), calibrate(shell, notebook)).only.points == 0


def test_an_exception_says_no_number_with_it(shell):
    test = "try:\n    f(1)\nexcept Short as error:\n    assert not abs(error.need - 1) > 1e-6"
    notebook = material(IMPORTS, answer("def f(x):\n    raise Short(1.0)\n"), checked(test))
    text = "def f(x):\n    raise Short(float('nan'))\n"
    assert grade_forked(shell, notebook, submission(notebook, text), calibrate(shell, notebook)).only.points == 0


def test_it_may_be_in_a_column_where_items_of_the_reference_are_none(shell):
    test = "assert np.isnan(f(1)[1]) and f(1)[0] == 1"
    assert points(shell, "[1.0, np.nan]", "pd.Series([1.0, np.nan])", test) == 1


BACKWARD = "x = torch.tensor([1.0, 2.0], requires_grad=True)\ng, = torch.autograd.grad(f(x).sum(), x)\n"


@pytest.mark.parametrize(
    "check", ["assert not (g - 2 * x).abs().max() > 1e-6", "if (g - 2 * x).abs().max() > 1e-6: 1 / 0"]
)
def test_it_is_none_in_a_gradient_that_a_test_takes_itself(shell, check):
    assert points(shell, "x * x", "x * float('nan')", BACKWARD + check) == 0
    assert points(shell, "x * x", "x ** 2", BACKWARD + check) == 1


def test_it_may_be_in_the_gradient_where_the_references_is_none_as_well(shell):
    test = f"{BACKWARD.replace('1.0', '0.0')}assert g[0].isnan() and g[1] == 0"
    assert points(shell, "torch.sqrt(x * 0) * x", "(x * 0) ** 0.5 * x", test.replace("g[1] == 0", "g[1].isnan()")) == 1
