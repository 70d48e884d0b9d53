"""What a call changes of given objects, and the reference leaves alone, is put back for the next run and test."""

from __future__ import annotations

import pytest

from .notebooks import answer, checked, given, material
from .processes import grade_split

GIVEN = """
import numpy as np
import torch
from dataclasses import dataclass
from torch import nn
@dataclass
class Account:
    n: float
array, tensor, leaf = np.arange(1.0, 5), torch.arange(1.0, 5), torch.eye(2, requires_grad=True)
layer, account = nn.Linear(2, 2), Account(5.0)
"""
ZEROED = {
    "array": ("x.sum()", "x[:] = 0", "array.sum()"),
    "tensor": ("x.sum()", "x.zero_()", "tensor.sum()"),
    "leaf": ("x.sum()", "x.data.zero_()", "leaf.sum()"),
    "layer": ("x.weight.sum()", "x.weight.data.zero_()", "layer.weight.sum()"),
    "account": ("x.n", "x.n = 0", "account.n"),
}


def graded(shell, reference, text, *tests):
    notebook = material(given(GIVEN, locked=True), answer(reference), *map(checked, tests))
    return grade_split(shell, notebook, text).points


@pytest.mark.parametrize("name", ZEROED)
def test_who_makes_a_given_object_zero_has_not_found_that_zero_is_right(shell, name):
    right, zeroing, expected = ZEROED[name]
    test = f"assert f({name}) == {expected}"
    reference = f"def f(x):\n    return {right}\n"
    assert graded(shell, reference, f"def f(x):\n    {zeroing}\n    return 0\n", test, test) == [0, 0]
    assert graded(shell, reference, reference, test, test) == [1, 1]


def test_what_the_reference_changes_stays_changed(shell):
    reference = "def f(x):\n    x[:] = 0\n"
    assert graded(shell, reference, "def f(x):\n    x *= 0\n", "f(array)", "assert array.sum() == 0") == [1, 1]
