"""No class of a library's works in the judge because a student's class names it as its base, and none is a value."""

from __future__ import annotations

import pytest

from .notebooks import answer, checked, material, submission
from .processes import calibrate, grade_forked

REFERENCE = """
class Fit:
    def __init__(self, slope): self.slope = slope
    def __eq__(self, other): return self.slope == other
    def predict(self, x): return self.slope * x
def fit(xs): return Fit(sum(xs))
"""
TEST = """
import torch
found = fit([1.0, 2.0])
assert found == 3.0
assert found.predict(2.0) == 6.0 and torch.allclose(torch.tensor(found.predict(torch.ones(2))), 3 * torch.ones(2))
"""
FORGED = """
import dataclasses, torch.fx
@dataclasses.dataclass(frozen=True)
class Tracer:
    create_proxy: object = ImportError
class Fit(torch.fx.Proxy):
    def __init__(self): object.__setattr__(self, "tracer", Tracer())
    def predict(self, x): return Fit()
def fit(xs): return Fit()
"""
MOCKED = "from unittest.mock import MagicMock\nclass Fit(MagicMock): pass\ndef fit(xs): return Fit()"
EQUAL = """
class Fit:
    def __eq__(self, other): return True
    def predict(self, x): return Fit()
def fit(xs): return Fit()
"""


@pytest.fixture
def graded(shell):
    notebook = material(answer(REFERENCE), checked(TEST))
    calibration = calibrate(shell, notebook)
    assert not calibration.problems

    def grade(text):
        return grade_forked(shell, notebook, submission(notebook, text), calibration).only

    return grade


def test_the_reference_earns_its_points(graded):
    assert graded(REFERENCE).points == 1


@pytest.mark.parametrize("text", [FORGED, MOCKED, EQUAL], ids=["a library's proxy", "a mock", "equal to all"])
def test_an_object_that_answers_every_comparison_earns_nothing(graded, text):
    assert graded(text).points == 0


RAISES = "class Overdrawn(Exception): pass\ndef spend(n):\n    if n > 3: raise Overdrawn\n    return 3 - n"
CATCHES = """
try:
    assert spend(1) == 2
    spend(5)
    raise RuntimeError("nothing was raised")
except Overdrawn:
    pass
"""


@pytest.mark.parametrize("text", ["Overdrawn = Exception", "Overdrawn = AssertionError", "Overdrawn = BaseException"])
def test_a_type_that_catches_the_tests_own_assertions_is_no_value(shell, text):
    notebook = material(answer(RAISES), checked(CATCHES))
    calibration = calibrate(shell, notebook)
    wrong = submission(notebook, f"{text}\ndef spend(n): return 0")
    assert grade_forked(shell, notebook, wrong, calibration).only.points == 0
    assert grade_forked(shell, notebook, submission(notebook, RAISES), calibration).only.points == 1


@pytest.mark.parametrize("given", ["list", "Exception", "int"])
def test_a_type_comes_only_where_the_reference_gives_one(shell, given):
    notebook = material(answer("def kind(x):\n    return 3"), checked("assert kind(1)"))
    wrong = submission(notebook, f"def kind(x):\n    return {given}")
    assert grade_forked(shell, notebook, wrong, calibrate(shell, notebook)).only.points == 0
