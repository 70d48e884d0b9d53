"""Given classes of plain data have their methods in the judge: a student who replaces them replaces their own copy."""

from __future__ import annotations

import pytest

from .notebooks import answer, checked, given, material, submission
from .processes import calibrate, grade_forked

POINT = """
from dataclasses import dataclass
@dataclass
class Point:
    x: float
    y: float
    def norm(self):
        return (self.x**2 + self.y**2) ** 0.5
    def __neg__(self):
        return Point(-self.x, -self.y)
"""
MIRRORED = "def mirrored(p):\n    return -p\n"
TEST = "p = Point(3, 4)\nassert mirrored(p) == Point(-3, -4) and mirrored(p).norm() == 5"
REPLACED = "Point.__eq__ = lambda self, other: True\nPoint.norm = lambda self: 5\n"
OTHER = "class Point(Point):\n    __eq__ = lambda self, other: True\n    norm = lambda self: 5\n"


def graded(shell, text):
    notebook = material(given(POINT, locked=True), answer(MIRRORED), checked(TEST, hidden=True))
    calibration = calibrate(shell, notebook)
    assert not calibration.one_process
    return grade_forked(shell, notebook, submission(notebook, text), calibration).only


def test_a_method_of_a_given_class_needs_no_second_process(shell):
    assert (graded(shell, MIRRORED).points, graded(shell, MIRRORED).mode) == (1, "split")
    assert graded(shell, "def mirrored(p):\n    return Point(-p.x, y=-p.y)\n").points == 1


@pytest.mark.parametrize("text", [REPLACED, OTHER], ids=["its methods replaced", "another class of its name"])
def test_a_given_class_is_the_judges_own(shell, text):
    assert graded(shell, text + "def mirrored(p):\n    return Point(0, 0)\n").points == 0
    assert graded(shell, text + MIRRORED).points == (1 if text == REPLACED else 0)
