"""Tests that fail where an answer changes its arguments, and the sentence that promises it."""

import pytest
import torch
from studium import exercise, keeps_arguments
from studium.errors import ExerciseError
from studium.exercises.checking import check
from studium.exercises.sources import test_cell as cell_of  # pytest would take it for a test


@exercise(points=3, minutes=1, mutates_args=("out",))
def total(x, out=None):
    """Return the sum."""
    ### BEGIN SOLUTION
    if out is not None:
        out.append(sum(x))
    return sum(x)
    ### END SOLUTION


@total.test("adds", points=1, mutates_args=("out",))
def _(total):
    assert total([1, 2], out=[]) == 3


@total.hidden("adds tensors", points=1, mutates_args=())
def _(total):
    assert total(torch.tensor([1, 2])) == 3


@total.test("adds two numbers", points=1)
def _(total):
    assert total([1, 2]) == 3


def emptied(x, out=None):
    found = sum(x)
    x[0] = 0
    if out is not None:
        out.append(found)
    return found


def test_the_statement_promises_what_stays():
    assert total.statement == "Return the sum.\n\nThe arguments stay as they are, except `out`."


def test_only_tests_that_look_at_the_arguments_fail_where_one_changes():
    assert check("t", total, total.solution).outcome == "right"
    result = check("t", total, emptied)
    assert [test.passed for test in result.tests] == [False, False, True]
    assert "changed its argument `x`, which must stay as it is" in result.tests[0].message


def test_a_function_that_keeps_its_arguments_does_what_it_did_and_says_what_it_changed():
    assert keeps_arguments(total.solution)([1, 2]) == 3
    with pytest.raises(
        AssertionError, match=r"^emptied changed its argument `x`, which must stay as it is: .*it was 1 and"
    ):
        keeps_arguments(emptied)([1, 2])
    assert keeps_arguments(emptied, ("x",))([1, 2]) == 3


def test_the_cell_of_such_a_test_notices_by_itself_and_that_of_any_other_is_as_before():
    cells = [cell_of("t", total, test) for test in total.tests]
    assert cells[0].startswith("from studium import keeps_arguments\n")
    assert cells[0].endswith("test_total(keeps_arguments(total, ('out',)))\n")
    assert cells[1].endswith("test_total(keeps_arguments(total))\n")
    assert cells[2].endswith("\ntest_total(total)\n")
    assert "keeps_arguments" not in cells[2]
    for cell in cells:
        exec(cell, {"total": total.solution})
    with pytest.raises(AssertionError, match="emptied changed its argument `x`"):
        exec(cells[0], {"total": emptied})


def test_an_argument_that_the_function_has_not_is_an_error():
    with pytest.raises(ExerciseError, match="what mutates_args of total names must be one of 'x', 'out': got 'y'"):
        total.test("more", points=1, mutates_args=("y",))
