"""Where the reference gives a layer of a library's, an answer's own object may come, and says nothing by itself."""

from __future__ import annotations

import pytest

from .notebooks import answer, checked, given, material, submission
from .processes import calibrate, grade_forked

REFERENCE = "def make():\n    return nn.Linear(2, 1)\n"
LIES = {
    "assert make()(torch.ones(1, 2)).shape == (1, 1)": "def __call__(self, x):\n        return self",
    "assert all(p.grad is not None for p in make().parameters())": "def parameters(self):\n        return [self]",
    "assert make().weight.shape == (1, 2)": "weight = property(lambda self: self)",
    "assert len(make().state_dict()) == 2": "def state_dict(self):\n        return self",
}


@pytest.mark.parametrize("test", LIES)
def test_an_object_that_says_yes_to_everything_earns_nothing(shell, test):
    text = f"""
class Lie:
    shape, grad = (1, 1), 1
    def __len__(self):
        return 2
    {LIES[test]}
def make():
    return Lie()
"""
    notebook = material(given("import torch\nfrom torch import nn"), answer(REFERENCE), checked(test))
    result = grade_forked(shell, notebook, submission(notebook, text), calibrate(shell, notebook)).only
    assert (result.points, result.mode) == (0, "verified")


RECORD = "class P(typing.NamedTuple):\n    x: float\ndef mid(a, b):\n    return P((a + b) / 2)\n"


@pytest.mark.parametrize(
    "test", ["assert mid(1, 3).x == 2", "assert mid(1, 3).x.is_integer()", "assert mid(1, 3) == (2,)"]
)
def test_an_object_in_place_of_a_record_holds_plain_values(shell, test):
    text = """
class Lie:
    x = property(lambda self: self)
    def is_integer(self): return True
    def __eq__(self, other): return True
def mid(a, b): return Lie()
"""
    notebook = material(given("import typing"), answer(RECORD), checked(test))
    result = grade_forked(shell, notebook, submission(notebook, text), calibrate(shell, notebook)).only
    assert (result.points, result.mode) == (0, "verified")


@pytest.mark.parametrize("test", ["assert mid(1, 3).x == 2", "assert mid(1, 3) == (2,)", "assert [*mid(1, 3)] == [2]"])
def test_a_list_with_methods_in_place_of_a_record_holds_plain_values(shell, test):
    text = """
class Lie(list):
    x = property(lambda self: self)
    def __eq__(self, other): return True
    def __iter__(self): return iter([Lie()])
def mid(a, b): return Lie()
"""
    notebook = material(given("import typing"), answer(RECORD), checked(test))
    result = grade_forked(shell, notebook, submission(notebook, text), calibrate(shell, notebook)).only
    assert (result.points, result.mode) == (0, "verified")
