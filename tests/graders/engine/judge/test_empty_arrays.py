"""An array without elements passes any comparison of all elements: where the reference gives none, it earns nothing."""

from __future__ import annotations

import msgspec
import pytest

from .notebooks import answer, checked, given, material, submission
from .processes import calibrate, grade_forked, grade_split

IMPORTS = given("import numpy as np\nimport torch")
SQUARES = "def squares(x):\n    return x * x\n"
TESTS = {
    "np.allclose": "x = np.arange(4.0)\nassert np.allclose(squares(x), [0, 1, 4, 9])",
    "all of numpy": "x = np.arange(4.0)\nassert (squares(x) == x**2).all()",
    "a number": "np.testing.assert_allclose(squares(np.array(3.0)), 9)",
    "torch.allclose": "x = torch.arange(4.0)\nassert torch.allclose(squares(x), x**2)",
    "all of torch": "x = torch.arange(4.0)\nassert torch.isclose(squares(x), x**2).all()",
}
WITHOUT = {
    "of numpy": "np.empty((0, 1))",
    "of torch": "torch.empty(0, 1)",
    "of objects": "np.empty((0, 1), object)",
    "with a gradient": "torch.empty(0, 1, requires_grad=True)",
    "with a history": "torch.empty(0, 1, requires_grad=True) * 2",
    "a class that extends another": "torch.empty(0, 1).as_subclass(type('T', (torch.Tensor,), {}))",
}


def graded(shell, reference, text, test, **more):
    notebook = material(IMPORTS, answer(reference), checked(test, **more))
    return grade_split(shell, notebook, text).only


@pytest.mark.parametrize("test", TESTS.values(), ids=TESTS)
@pytest.mark.parametrize("array", WITHOUT.values(), ids=WITHOUT)
def test_an_array_without_elements_passes_no_comparison(shell, test, array):
    result = graded(shell, SQUARES, f"def squares(x):\n    return {array}\n", test)
    assert (result.outcome, result.points) == ("failed", 0)


MASKS = {
    "all of numpy": "assert below(np.arange(4.0)).all()",
    "not any of numpy": "assert not below(np.arange(9.0, 12)).any()",
    "all of torch": "assert below(torch.arange(4.0)).all()",
    "not any of torch": "assert not below(torch.arange(9.0, 12)).any()",
}


@pytest.mark.parametrize("test", MASKS.values(), ids=MASKS)
@pytest.mark.parametrize("array", ["np.empty((0, 1), bool)", "np.empty(0)", "torch.empty(0, dtype=torch.bool)"])
def test_nor_does_it_tell_that_all_or_none_hold(shell, test, array):
    reference = "def below(x):\n    return x < 9\n"
    assert graded(shell, reference, reference, test).points == 1
    assert graded(shell, reference, f"def below(x):\n    return {array}\n", test).points == 0


def test_what_is_wrong_with_it_is_said(shell):
    result = graded(shell, SQUARES, "def squares(x):\n    return np.empty((0, 1))\n", TESTS["np.allclose"])
    sentence = "your code gives something without elements, or with missing ones, where a right answer gives none such"
    assert result.message == sentence


@pytest.mark.parametrize("items", ["[{}, {}]", "({}, {})", "{{'a': {}, 'b': {}}}.values()"])
def test_nor_does_one_in_a_list_of_results(shell, items):
    reference = f"def both(x):\n    return {items.format('x * x', '2 * x')}\n"
    test = "x = np.arange(4.0)\na, b = both(x)\nassert np.allclose(a, x**2) and np.allclose(b, 2 * x)"
    text = "def both(x):\n    e = np.empty((0, 1))\n    return " + items.format("e", "e") + "\n"
    assert graded(shell, reference, reference, test).points == 1
    assert graded(shell, reference, text, test).points == 0


FRAMES = {
    "a frame": "pd.DataFrame({'a': x})",
    "a series": "pd.Series(x)",
    "an index": "pd.Index(x)",
}


@pytest.mark.parametrize("made", FRAMES.values(), ids=FRAMES)
def test_nor_does_data_of_pandas_without_rows(shell, made):
    reference = f"import pandas as pd\ndef squares(x):\n    x = x * x\n    return {made}\n"
    test = "x = np.arange(4.0)\nassert np.asarray(squares(x) >= 0).all()"
    assert graded(shell, reference, reference, test).points == 1
    assert graded(shell, reference, reference.replace("x * x", "x[:0]"), test).points == 0


KEPT = "def positive(x):\n    return x[x > 0]\n"
EMPTIED = "x = np.array([-1.0, 2.0])\nassert np.allclose(positive(x), 2) and positive(-np.ones(3)).size == 0"


def test_one_that_the_reference_gives_is_right(shell):
    text = "def positive(x):\n    return np.array([v for v in x if v > 0])\n"
    assert graded(shell, KEPT, text, EMPTIED).points == 1


@pytest.mark.parametrize(("form", "taken"), [("{}", ""), ("({}, 1)", "[0]"), ("{{'found': {}}}", "['found']")])
def test_one_where_the_reference_gives_a_list_without_items_is_right(shell, form, taken):
    found = "[k for k in (2, 3, 5) if k < n]"
    reference = f"def primes(n):\n    return {form.format(found)}\n"
    text = f"def primes(n):\n    return {form.format(f'np.array({found})')}\n"
    test = f"assert len(primes(1){taken}) == 0 and primes(4){taken}[1] == 3"
    assert graded(shell, reference, reference, test).points == 1
    assert graded(shell, reference, text, test).points == 1


def test_partial_credit_for_the_other_cases_is_kept(shell):
    test = (
        "score = 0\nfor n in (2, 3, 4, 5):\n    score += np.allclose(squares(np.arange(n)), np.arange(n) ** 2)\nscore"
    )
    text = "def squares(x):\n    return x * x if len(x) < 5 else np.empty((0, 1))\n"
    assert graded(shell, SQUARES, text, test, points=4.0).points == 3


def test_one_that_no_comparison_needs_costs_nothing(shell):
    reference = "def fit(x):\n    return {'mean': x.mean()}\n"
    text = "def fit(x):\n    return {'mean': x.mean(), 'outliers': x[x > 99]}\n"
    test = "x = np.arange(5.0)\nassert np.isclose(fit(x)['mean'], 2)"
    assert graded(shell, reference, text, test).points == 1


def test_it_does_not_earn_the_part_that_the_reference_earns(shell):
    test = (
        "score = 0\nfor n in (2, 3):\n    score += np.allclose(squares(np.arange(n)), np.arange(n) ** 2)\nscore * 0.9"
    )
    notebook = material(IMPORTS, answer(SQUARES), checked(test, points=2.0, id="t", grade_id="t"))
    calibration = msgspec.structs.replace(calibrate(shell, notebook), cautious=frozenset("t"), one_process=frozenset())
    text = submission(notebook, "def squares(x):\n    return np.empty((0, 1))\n")
    assert (
        grade_forked(shell, notebook, text, calibration).only.points == 1.8
    )  # nothing is known of a test that it fails
    known = msgspec.structs.replace(calibration, partly=frozenset("t"))
    assert grade_forked(shell, notebook, text, known).only.points == 0
