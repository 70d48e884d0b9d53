"""``at_most_mb``: an answer that makes a large table fails the test, and nothing of the limit stays."""

import contextlib
import sys

import pytest
import torch
from studium import at_most_mb, exercise
from studium.exercises import memory_limit
from studium.exercises.checking import check

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel of Linux keeps the limit")


@exercise(points=1, minutes=1)
def total(n):
    """Return the sum of i · j over all i and j below n."""
    ### BEGIN SOLUTION
    return float(torch.arange(n, dtype=torch.float64).sum() ** 2)
    ### END SOLUTION


@total.test("makes no table", points=1)
def _(total):
    with at_most_mb(32, "no table of n by n may exist"):
        found = total(5000)
    assert found == (5000 * 4999 / 2) ** 2


@total.misconception("You started at 1.", name="one-more")
def _(n):
    return float((torch.arange(n, dtype=torch.float64) + 1).sum() ** 2)


def table(n):
    row = torch.arange(n, dtype=torch.float64)
    return float((row[:, None] * row).sum())


def limit():
    import resource

    return resource.getrlimit(resource.RLIMIT_DATA)


def test_an_answer_that_makes_the_table_fails_and_is_told_so():
    result = check("sums", total, table)
    assert result.outcome == "wrong"
    assert result.tests[0].message == "your code needs more than 32 MB of memory here: no table of n by n may exist"


def test_no_mistake_is_named_where_the_memory_ran_out():
    assert check("sums", total, table).mistake_id == ""
    assert check("sums", total, total.misconceptions[0].function).mistake_id == "sums.total:one-more"


def test_an_answer_that_makes_none_passes():
    assert check("sums", total, total.solution).outcome == "right"


def test_the_limit_and_the_threads_are_as_before_whatever_happens():
    for error in [MemoryError(), ValueError("no"), KeyboardInterrupt()]:
        before, threads = limit(), torch.get_num_threads()
        with contextlib.suppress(AssertionError, ValueError, KeyboardInterrupt), at_most_mb(64):
            assert limit() != before
            raise error
        assert (limit(), torch.get_num_threads()) == (before, threads)


def test_other_errors_of_the_answer_stay_what_they_are():
    with pytest.raises(RuntimeError, match="shape"), at_most_mb(64):
        raise RuntimeError("the shape is wrong")


def test_a_process_that_may_not_change_its_limit_measures_nothing(monkeypatch):
    def refuse(*_):
        raise ValueError("not allowed to raise maximum limit")

    monkeypatch.setattr(memory_limit.resource, "setrlimit", refuse)
    assert check("sums", total, table).outcome == "right"
