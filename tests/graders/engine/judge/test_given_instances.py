"""Instances of given classes hold what the class does not say: an answer sets no tolerance of the class's own."""

from __future__ import annotations

import pytest

from .notebooks import answer, checked, given, material, submission
from .processes import calibrate, grade_forked

GIVEN = """
class Vec:
    near = 1e-9
    label = ""
    def __init__(self, x): self.x = x
    def __eq__(self, other): return abs(self.x - other.x) < self.near
    def named(self): return self.label or "none"
"""
TWICE = "def twice(v):\n    found = Vec(2 * v.x)\n    found.label = 'twice'\n    return found\n"
TEST = "found = twice(Vec(3))\nassert found == Vec(6) and found.named() == 'twice'"


def points(shell, text):
    notebook = material(given(GIVEN), answer(TWICE), checked(TEST))
    return grade_forked(shell, notebook, submission(notebook, text), calibrate(shell, notebook)).only.points


@pytest.mark.parametrize("right", [True, False])
def test_what_the_references_instances_leave_to_the_class_counts_as_the_class_has_it(shell, right):
    value = 6 if right else 7
    text = f"def twice(v):\n    v = Vec({value})\n    v.near, v.label = 1e9, 'twice'\n    return v\n"
    assert points(shell, text) == right


def test_what_they_hold_themselves_an_answer_may_set(shell):
    assert points(shell, TWICE.replace("found", "made")) == 1
