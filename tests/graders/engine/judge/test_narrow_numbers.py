"""Numbers of few digits are equal to what is rounded to them: they earn nothing by that."""

from __future__ import annotations

import pytest

from .notebooks import answer, checked, given, material
from .processes import grade_split

IMPORTS = given("import numpy as np\nimport pandas as pd\nimport torch")
TOTAL = "def total(n):\n    return n * (n + 1) // 2\n"
TINY = "def tiny(n):\n    return 3.2e-9 / n\n"
INFINITE = [
    *("np.float16('inf')", "np.array(np.inf, 'e')", "torch.tensor(float('inf')).half()", "[np.float16('inf')][0]"),
    *("torch.tensor(float('inf')).to(torch.float8_e5m2)", "torch.tensor(2.0**17).to(torch.float8_e8m0fnu)"),
]


def points(shell, reference, text, test):
    notebook = material(IMPORTS, answer(reference), checked(test))
    return grade_split(shell, notebook, text).only.points


@pytest.mark.parametrize("value", INFINITE)
def test_an_infinity_of_half_precision_equals_no_great_number(shell, value):
    assert points(shell, TOTAL, f"def total(n):\n    return {value}\n", "assert total(600) == 180300") == 0


CLOSE = ["assert np.isclose(total(600), 180300)", "np.testing.assert_equal(total(600), 180300)"]


@pytest.mark.parametrize("test", CLOSE)
def test_it_is_close_to_none_either(shell, test):
    assert points(shell, TOTAL, "def total(n):\n    return np.float16('inf')\n", test) == 0
    assert points(shell, TOTAL, "def total(n):\n    return np.float32(n * (n + 1) / 2)\n", test) == 1


@pytest.mark.parametrize("value", ["pd.Series([np.inf] * 2, dtype='float16')", "np.full(2, np.inf, 'float16')"])
def test_nor_are_columns_of_them(shell, value):
    reference = "def both(n):\n    return np.array([n, n]) * 1e6\n"
    assert points(shell, reference, f"def both(n):\n    return {value}\n", "assert (both(1) == 1e6).all()") == 0


@pytest.mark.parametrize("kind", ["uint8", "int8", "int16"])
def test_a_zero_of_few_bits_equals_no_power_of_two(shell, kind):
    reference = "def size(n):\n    return 2**n\n"
    text = f"def size(n):\n    return torch.tensor(0, dtype=torch.{kind})\n"
    assert points(shell, reference, text, "assert size(16) == 65536") == 0
    right = f"def size(n):\n    return torch.tensor(2**n, dtype=torch.{kind})\n"
    assert points(shell, reference, right, "assert size(5) == 32 and 2 * size(4) == 32") == 1


def test_a_mask_of_bytes_is_one_as_before(shell):
    reference = "def positive(x):\n    return x > 0\n"
    test = "x = torch.tensor([1.0, -2.0, 3.0])\nassert x[positive(x)].tolist() == [1, 3]"
    assert points(shell, reference, "def positive(x):\n    return (x > 0).byte()\n", test) == 1


def test_an_infinite_single_is_no_number_beyond_its_range(shell):
    reference = "def power(n):\n    return 10**n\n"
    assert points(shell, reference, "def power(n):\n    return np.float32('inf')\n", "assert power(50) == 10**50") == 0


@pytest.mark.parametrize("value", ["np.float16(0)", "torch.tensor(0.0).half()", "torch.tensor(0.0).bfloat16()"])
def test_a_zero_of_half_precision_is_near_no_small_number(shell, value):
    text = f"def tiny(n):\n    return {value}\n"
    assert points(shell, TINY, text, "assert abs(tiny(2) - 1.6e-9) < 1e-12") == 0


@pytest.mark.parametrize("kind", ["np.float16", "np.float32", "np.float64"])
def test_a_right_number_of_few_digits_is_right(shell, kind):
    reference = "def half(x):\n    return x / 2\n"
    text = f"def half(x):\n    return {kind}(x / 2)\n"
    assert points(shell, reference, text, "assert half(3) == 1.5 and abs(half(0.1) - 0.05) < 1e-3") == 1


def test_where_the_reference_gives_such_numbers_an_answer_may(shell):
    reference = "def low(x):\n    return torch.full((2,), x).half()\n"
    test = "assert low(1e6).dtype == torch.float16 and torch.isinf(low(1e6)).all() and (low(1e6) == 1e6).all()"
    assert points(shell, reference, "def low(x):\n    return torch.tensor([x, x], dtype=torch.half)\n", test) == 1


def test_what_a_function_makes_of_the_tests_array_keeps_its_kind(shell):
    reference = "def fill(a):\n    return a + 1\n"
    test = "a = np.zeros(2, 'float16')\nassert (fill(a) == 1).all()\nassert total == 3"
    text = "total = 3\ndef fill(a):\n    a += 1\n    return a\n"
    assert points(shell, reference + "total = 3\n", text, test) == 1
