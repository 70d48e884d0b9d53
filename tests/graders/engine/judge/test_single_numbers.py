"""An array, or a list, of all numbers holds the right one too: it is none where the reference gives one number."""

from __future__ import annotations

import pytest

from .notebooks import answer, checked, given, material, submission
from .processes import calibrate, grade_forked, grade_split

IMPORTS = given("import numpy as np\nimport pandas as pd\nimport torch")
SQUARE = "def square(x):\n    return x * x\n"
COUNTED = "assert np.sum([np.asarray(square(x) == x * x).sum() for x in range(5)]) >= 5"
ANY = "assert np.any(np.asarray(square(3)) == 9)"
ALL_NUMBERS = [
    *("np.arange(99)", "np.arange(99).reshape(9, 11)", "torch.arange(99)", "torch.arange(99.0, requires_grad=True)"),
    *("pd.Series(range(99))", "pd.Index(range(99))", "pd.array(range(99))"),
]
SEQUENCES = ["list(range(99))", "tuple(range(99))", "range(99)"]


def points(shell, reference, text, test):
    notebook = material(IMPORTS, answer(reference), checked(test))
    return grade_split(shell, notebook, text).only.points


@pytest.mark.parametrize("value", ALL_NUMBERS)
def test_all_numbers_are_not_the_one_that_a_test_counts(shell, value):
    assert points(shell, SQUARE, f"def square(x):\n    return {value}\n", COUNTED.replace("np.asarray", "")) == 0
    assert points(shell, SQUARE, f"def square(x):\n    return {value}\n", ANY) == 0


@pytest.mark.parametrize("value", SEQUENCES)
def test_nor_are_they_in_a_sequence(shell, value):
    assert points(shell, SQUARE, f"def square(x):\n    return {value}\n", ANY) == 0


@pytest.mark.parametrize(
    "value", ["x * x", "np.array([x * x])", "np.array(x * x)", "np.full(3, x * x)", "np.int8(x * x)"]
)
def test_a_number_in_any_form_counts(shell, value):
    assert points(shell, SQUARE, f"def square(x):\n    return {value}\n", COUNTED) == 1


def test_an_array_is_expected_where_a_test_has_the_reference_give_one(shell):
    test = "assert square(3) == 9\nassert (square(np.arange(3)) == [0, 1, 4]).all()"
    assert points(shell, SQUARE, "def square(x):\n    return np.square(x)\n", test) == 1


OF_SOME = "def square(x):\n    return np.square(x) if isinstance(x, np.ndarray) else np.arange(99)\n"
NAMED = "def square(x):\n    return np.square(x) if np.ndim(x) else np.square([x])\n"


def test_of_a_number_it_is_one_though_a_test_has_the_reference_give_an_array_as_well(shell):
    test = f"assert (square(np.arange(3)) == [0, 1, 4]).all()\n{COUNTED}\n{ANY.replace('3', 'x=3')}"
    assert points(shell, SQUARE, OF_SOME, test) == 0
    assert points(shell, SQUARE, NAMED, test) == 1


LISTED = "def squares(items):\n    return [x * x for x in items]\n"
ONE_BY_ONE = "assert np.sum([a == b for a, b in zip(squares([1, 2, 3]), [1, 4, 9])]) >= 3"


@pytest.mark.parametrize("body", ["return [np.arange(99)] * 3", "yield from [np.arange(99)] * 3"])
@pytest.mark.parametrize("kind", ["list", "np.array", "tuple", "iter"])
def test_so_it_is_with_the_items_of_what_the_reference_gives(shell, kind, body):
    reference = LISTED.replace("[x * x", f"{kind}([x * x").replace("items]", "items])")
    assert points(shell, reference, f"def squares(items):\n    {body}\n", ONE_BY_ONE) == 0
    assert points(shell, reference, reference, ONE_BY_ONE) == 1
    assert points(shell, reference, "def squares(items):\n    return np.square(items)\n", ONE_BY_ONE) == 1


ROWS = ["np.tile(np.arange(99)[:, None], (1, 3))", "[[k] * 3 for k in range(99)]", "torch.arange(99).repeat(3, 1).T"]
MATCHES = "assert (np.array(squares([1, 2, 3])) == np.array([1, 4, 9])).sum() >= 3"
COLUMNS = ["np.tile(np.arange(99), (3, 1))", "torch.arange(99).repeat(3, 1)"]


@pytest.mark.parametrize("value", ROWS)
def test_rows_of_all_numbers_are_not_the_row_that_a_test_counts(shell, value):
    assert points(shell, LISTED, f"def squares(items):\n    return {value}\n", MATCHES) == 0


@pytest.mark.parametrize("value", COLUMNS)
def test_nor_are_columns(shell, value):
    test = ONE_BY_ONE.replace("a == b", "np.any(np.asarray(a) == b)")
    assert points(shell, LISTED, f"def squares(items):\n    return {value}\n", test) == 0


@pytest.mark.parametrize("value", ["np.square([items])", "[[x * x for x in items]]"])
def test_one_row_of_numbers_counts_where_the_test_takes_it(shell, value):
    assert points(shell, LISTED, f"def squares(items):\n    return {value}\n", MATCHES) == 1


def test_so_it_is_with_attributes_and_methods(shell):
    reference = "class Model:\n    def __init__(self): self.bias = 5\n    def predict(self, x): return x + self.bias\n"
    text = "class Model:\n    bias = np.arange(99)\n    def predict(self, x): return np.arange(99)\n"
    assert points(shell, reference, text, "assert np.any(np.asarray(Model().bias) == 5)") == 0
    assert points(shell, reference, text, "assert np.any(np.asarray(Model().predict(2)) == 7)") == 0
    assert points(shell, reference, reference, "assert np.any(np.asarray(Model().predict(2)) == 7)") == 1


def test_partial_credit_is_what_single_elements_earn(shell):
    test = checked("sum(int(np.any(np.asarray(square(x)) == x * x)) for x in range(4))", points=4.0)
    notebook = material(IMPORTS, answer(SQUARE), test)
    text = "def square(x):\n    return np.arange(99)\n"
    graded = grade_forked(shell, notebook, submission(notebook, text), calibrate(shell, notebook))
    assert graded.only.points <= 1


LOSS = "def loss(p, y):\n    return ((p - y) ** 2).mean()\n"
MEAN = "p, y = np.array([1.0, 2, 4]), np.array([1.0, 0, 1])\nassert abs(np.mean(loss(p, y)) - 13 / 3) < 1e-6"
SUM = MEAN.replace("np.mean", "np.sum").replace(" / 3", "")


@pytest.mark.parametrize("value", ["{}", "list({})", "pd.Series({})", "[float(one) for one in {}]", "({}).astype(int)"])
def test_the_numbers_of_which_a_test_takes_the_mean_or_the_sum_are_right(shell, value):
    text = f"def loss(p, y):\n    return {value.format('(p - y) ** 2')}\n"
    assert points(shell, LOSS, text, MEAN) == 1
    assert points(shell, LOSS.replace("mean", "sum"), text, SUM) == 1
    assert points(shell, LOSS, text.replace("** 2", "** 4"), MEAN) == 0


def test_a_mean_that_is_wrong_is_none_of_the_numbers_that_a_test_counts(shell):
    text = "def square(x):\n    return np.append(np.arange(99), x)\n"
    assert points(shell, SQUARE, text, COUNTED) == 0
    assert points(shell, SQUARE, text, ANY) == 0
