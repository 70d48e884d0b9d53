"""Tests that ask whether data under two names of an answer's are one object, as a notebook would tell them."""

from __future__ import annotations

import pytest

from .notebooks import answer, checked, material, submission
from .processes import calibrate, grade_forked

COPY = "x = [1]\ny = x.copy()", "assert y == x and y is not x"
SAME = "a = b = 5", "assert a is b"


@pytest.mark.parametrize(
    ("course", "text", "points"),
    [
        (COPY, "x = [1]\ny = list(x)", 1),
        (COPY, "x = [1]\ny = x", 0),
        (("d = {1: 2}\ne = dict(d)", "assert id(d) != id(e) and d == e"), "d = {1: 2}\ne = d", 0),
        (("d = {1: 2}\ne = dict(d)", "assert id(d) != id(e) and d == e"), "d = {1: 2}\ne = {**d}", 1),
        (("p = np.ones(2)\nq = p.copy()", "assert q is not p"), "p = np.ones(2)\nq = p", 0),
        (("p = np.ones(2)\nq = p.copy()", "assert q is not p"), "p = np.ones(2)\nq = p * 1", 1),
        (("a = 1000\nb = int('1000')", "assert a == b and a is not b"), "a = b = 2000", 0),
        (("a = 1000\nb = int('1000')", "assert a == b and a is not b"), "a = 2000\nb = int('2000')", 1),
        (SAME, "a = b = 2000", 1),
        (SAME, "a = 2000\nb = int('2000')", 0),
        (SAME, "a = b = 'two words'", 1),
        (SAME, "a = b = (1, [2])", 1),
        (SAME, "a = 7\nb = 8", 0),
    ],
)
def test_data_of_two_names_are_one_object_where_they_are_one_in_the_answer(shell, course, text, points):
    reference, test = course
    notebook = material(answer(f"import numpy as np\n{reference}"), checked(test))
    result = grade_forked(
        shell, notebook, submission(notebook, f"import numpy as np\n{text}"), calibrate(shell, notebook)
    )
    assert (result.only.points, result.only.mode) == (points, "unverified")


def test_what_a_test_changes_under_one_name_is_changed_under_the_other(shell):
    test = "assert first is second\nfirst.append(3)\nassert second == [1, 3] and second is first"
    notebook = material(answer("first = second = [1]"), checked(test))
    calibration = calibrate(shell, notebook)
    found = [submission(notebook, text) for text in ("second = [1]\nfirst = second", "first = [1]\nsecond = [1]")]
    assert [grade_forked(shell, notebook, text, calibration).only.points for text in found] == [1, 0]
