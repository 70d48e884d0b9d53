"""Dataclasses as plain data, and classes that answers write in their place."""

from __future__ import annotations

import pytest

from .notebooks import answer, checked, given, material, submission
from .processes import calibrate, grade_forked

GIVEN = "import dataclasses\nfrom dataclasses import asdict, astuple, dataclass, field, fields, is_dataclass, replace"


def test_what_is_compared_and_shown_of_plain_data_is_what_the_reference_compares_and_shows(shell):
    plain = "@dataclass\nclass Point:\n    x: int\ndef make(x): return Point(x)"
    hidden = plain.replace("x: int", "x: int = field(compare=False, repr=False)").replace("Point(x)", "Point(0)")
    notebook = material(given(GIVEN, locked=True), answer(plain), checked("assert make(3) == Point(3)"))
    calibration = calibrate(shell, notebook)
    for text, points in ((plain, 1), (hidden, 0)):
        assert grade_forked(shell, notebook, submission(notebook, text), calibration).only.points == points


PLAIN = "@dataclass(frozen=True)\nclass Point:\n    x: int\n    y: int = 0\ndef middle(a, b):\n    return Point(1, 1)\n"
BY_HAND = """
class Point:
    def __init__(self, x, y=0): self.x, self.y = x, y
    def __eq__(self, other): return self.x == other.x and self.y == other.y
    def __hash__(self): return hash((self.x, self.y))
def middle(a, b): return Point(1, 1)
"""
EQUAL = ["Point(1, 2) == Point(1, 2)", "Point(3) in [Point(1), Point(3)]", "Point(y=1, x=2) == Point(y=1, x=2)"]
UNEQUAL = ["Point(1, 2) != Point(2, 1)", "not Point(1) == Point(1, 1)", "len({Point(1), Point(2), Point(1)}) == 2"]
OTHER_KIND = "Point(1, 2) != (1, 2)"


def of_plain(shell, text, test):
    notebook = material(given(GIVEN, locked=True), answer(PLAIN), checked(f"assert {test}"))
    return grade_forked(shell, notebook, submission(notebook, text), calibrate(shell, notebook)).only.points


@pytest.mark.parametrize("test", [*EQUAL, *UNEQUAL])
def test_objects_that_a_test_makes_are_compared_by_the_answers_class_where_the_reference_has_plain_data(shell, test):
    assert of_plain(shell, BY_HAND, test) == 1
    nothing = BY_HAND.replace("def __eq__", "def same").replace("def __hash__", "def number")
    assert of_plain(shell, nothing, test) == (test in UNEQUAL[:2])


def test_a_comparison_that_raises_does_so_in_the_test(shell):
    assert of_plain(shell, PLAIN, OTHER_KIND) == 1
    assert of_plain(shell, BY_HAND, OTHER_KIND) == 0
