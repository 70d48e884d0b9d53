"""A test that goes through an answer and what it expects, side by side, sees all that it expects."""

from __future__ import annotations

import pytest

from .notebooks import answer, checked, given, material, submission
from .processes import calibrate, grade_forked, grade_split

IMPORTS = given("import numpy as np\nimport torch")
DOUBLE = "[2 * v for v in x]"
LOOPS = {
    "a loop": "for a, b in zip(f([1, 2, 3]), [2, 4, 6]):\n    assert a == b",
    "what all hold": "assert all(a == b for a, b in zip([2, 4, 6], f([1, 2, 3])))",
    "a map": "assert all(map(lambda a, b: a == b, f([1, 2, 3]), [2, 4, 6]))",
    "a function": "def same(p, q):\n    return all(a == b for a, b in zip(p, q))\nassert same(f([1, 2, 3]), (2, 4, 6))",
    "arrays": "for a, b in zip(f([1, 2, 3]), np.array([2, 4, 6])):\n    assert a == b",
    "points": "sum(a == b for a, b in zip(f([1, 2, 3]), [2, 4, 6])) / len(f([1, 2, 3]))",
}
LONG = {
    "as a list": DOUBLE,
    "as a generator": "(2 * v for v in x)",
    "as an array": "2 * np.array(x)",
    "with more": "[2 * v for v in x + [9]]",
    "without an end": "map((2).__mul__, __import__('itertools').count(1))",
}


def grade(shell, text, test, *, reference=DOUBLE):
    notebook = material(IMPORTS, answer(f"def f(x):\n    return {reference}\n"), checked(test))
    return grade_split(shell, notebook, f"def f(x):\n    return {text}\n").only


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("text", ["[2]", "(2 * v for v in x[:1])", "2 * np.array(x[:2])"])
def test_an_answer_of_too_few_items_does_not_pass(shell, loop, text):
    if loop == "points" and "for" in text:
        return
    graded = grade(shell, text, LOOPS[loop])
    assert graded.points == 0
    assert graded.message == "your code gives fewer items than this test goes through"


@pytest.mark.parametrize("text", LONG)
def test_one_of_as_many_or_more_does(shell, text):
    assert grade(shell, LONG[text], LOOPS["a loop"]).points == 1


def test_a_part_of_the_items_earns_a_part_of_the_points(shell):
    test = "sum(a == b for a, b in zip(f([1, 2, 3, 4]), [2, 4, 6, 8])) / 4"
    assert [grade(shell, text, test).points for text in (DOUBLE, "[2]", "[2, 4]")] == [1, 0.25, 0.5]


def test_a_list_beside_itself_without_its_first_is_as_it_is(shell):
    test = "losses = f([3, 2, 1])\nassert all(a > b for a, b in zip(losses, losses[1:]))"
    assert grade(shell, "[4, 2]", test).points == 1


def test_what_a_generator_has_given_before_is_not_missing(shell):
    test = "found = f([1, 2])\nassert list(found) == [2, 4]\nfor a, b in zip(found, [2, 4]):\n    assert a == b"
    assert grade(shell, "(2 * v for v in x)", test).points == 1


def test_it_is_zip(shell):
    test = (
        "pairs = zip(f([1, 2]), 'ab', strict=True)\nassert isinstance(pairs, zip) and iter(pairs) is pairs\n"
        "assert list(pairs) == [(2, 'a'), (4, 'b')] and dict(zip('ab', f([1, 2]))) == {'a': 2, 'b': 4}\n"
        "assert list(zip()) == [] and list(zip(*[(1, 2), (3, 4)])) == [(1, 3), (2, 4)]\n"
        "try:\n    list(zip([1], [], strict=True))\n    assert False\nexcept ValueError:\n    pass"
    )
    assert grade(shell, DOUBLE, test).points == 1


@pytest.mark.parametrize("kind", ["map(int, '12')", "(a for a, in zip([1, 2]))", "zip([1, 2])"])
def test_an_answer_may_be_given_one(shell, kind):
    notebook = material(IMPORTS, answer("def f(x):\n    return len(list(x))\n"), checked(f"assert f({kind}) == 2"))
    calibration = calibrate(shell, notebook)
    assert not calibration.one_process
    text = "def f(x):\n    return sum(1 for _ in x)\n"
    assert grade_forked(shell, notebook, submission(notebook, text), calibration).only.points == 1
