"""Tests that take a given function away for a while, to see whether an answer makes use of it."""

from __future__ import annotations

import pytest

from .notebooks import answer, checked, given, material, submission
from .processes import calibrate, grade_forked

TEST = """
expected = 2 * double(3)
assert fourfold(3) == expected
kept = double
del double
try:
    fourfold(3)
except NameError:
    pass
else:
    raise AssertionError("fourfold does not call double")
finally:
    double = kept
assert fourfold(1) == 4 and double(1) == 2
"""


@pytest.mark.parametrize("hidden", [False, True])
@pytest.mark.parametrize(
    ("text", "points"),
    [
        ("def fourfold(x): return double(x) * 2", [1, 1]),
        ("fourfold = lambda x: double(double(x))", [1, 1]),
        ("def fourfold(x): return 4 * x", [0, 1]),
        ("def fourfold(x):\n    mine = double\n    return mine(x) + 1", [0, 1]),
        ("mine = double\ndef fourfold(x): return mine(mine(x))", [0, 1]),
    ],
)
def test_an_answer_finds_the_name_gone_and_later_tests_find_it_again(shell, hidden, text, points):
    notebook = material(
        given("def double(x): return 2 * x"),
        answer("def fourfold(x): return double(double(x))"),
        checked(TEST, hidden=hidden),
        checked("assert double(5) == 10"),
    )
    results = grade_forked(shell, notebook, submission(notebook, text), calibrate(shell, notebook)).results.values()
    assert [result.points for result in results] == points
    assert next(iter(results)).mode == "verified"
