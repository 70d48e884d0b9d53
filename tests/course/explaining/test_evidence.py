"""Which recorded calls count, and how long that may take."""

from __future__ import annotations

import itertools
import signal
import sys

import pytest
import torch
from studium import exercise
from studium.exercises.checking import check
from studium.exercises.explaining.budget import Budget, OutOfTime, limited
from studium.exercises.explaining.evidence import Told, attempt, gather
from studium.exercises.explaining.values import same
from studium.exercises.observation import Recorder

WRONG = AssertionError("wrong")


def verdicts(own, answer, calls, error=WRONG):
    recorder = Recorder(answer)
    for arguments in calls:
        recorder.wrapped()(*arguments)
    told = Told("a test", hidden=False, error=error, calls=recorder.calls)
    return [case.verdict for case in gather(own, [told], Budget(60)).cases]


@pytest.fixture
def root():
    @exercise(points=1, minutes=1)
    def root(x):
        return x**0.5

    return root


def test_a_call_of_a_failed_test_is_wrong_where_the_answer_differs_from_the_solution_and_right_where_it_does_not(root):
    assert verdicts(root, lambda x: x / 2, [(4.0,), (9.0,)]) == ["right", "wrong"]


def test_a_call_is_open_where_the_right_answers_differ(root):
    root.also_correct(lambda x: -(x**0.5) if x == 9 else x**0.5)
    assert verdicts(root, lambda x: x / 2, [(9.0,), (16.0,)]) == ["open", "wrong"]


def test_a_call_is_open_where_a_passed_test_accepted_something_else(root):
    assert verdicts(root, lambda x: x / 2, [(4.0,), (9.0,)], error=None) == ["right", "open"]


def test_a_call_that_draws_random_numbers_is_open_unless_another_right_answer_draws_the_same():
    @exercise(points=1, minutes=1)
    def noisy(x, generator):
        return x + torch.randn(3, generator=generator)

    def other(x, generator):
        return x - torch.randn(3, generator=generator)

    calls = [(torch.ones(3), torch.Generator().manual_seed(0))]
    assert verdicts(noisy, other, calls) == ["open"]
    noisy.also_correct(lambda x, generator: torch.randn(3, generator=generator) + x)
    assert verdicts(noisy, other, calls) == ["wrong"]


def test_floats_are_equal_within_the_tolerance_and_whole_numbers_exactly():
    for one, other, equal in [
        (1.0, 1.00001, True),
        (10000, 10001, False),
        (float("nan"), float("nan"), True),
        ([1, torch.ones(2)], (1, torch.ones(2).double()), True),
        (torch.ones(2), torch.ones(1, 2), False),
        ({"a": 1}, {"b": 1}, False),
        ("a", "b", False),
    ]:
        assert same(one, other) is equal


def test_no_call_is_looked_at_once_the_time_is_up(root):
    clock = itertools.count().__next__  # each look at the clock takes a second
    recorder = Recorder(lambda x: x)
    for x in (4.0, 9.0, 16.0, 25.0):
        recorder.wrapped()(x)
    told = Told("a test", hidden=False, error=AssertionError(), calls=recorder.calls)
    assert len(gather(root, [told], Budget(6, clock)).cases) < 4


def test_a_call_that_never_ends_is_ended_though_it_catches_exceptions():
    def endless():
        while True:
            try:
                while True:
                    pass
            except Exception:
                continue

    with pytest.raises(OutOfTime), limited(0.01):
        endless()
    assert attempt(Budget(0.01), endless) is None


def test_a_call_is_ended_though_it_catches_everything_once():
    def stubborn():
        try:
            while True:
                pass
        except BaseException:
            while True:
                pass

    assert attempt(Budget(0.01), stubborn) is None


def test_an_import_is_finished_before_a_call_is_ended(tmp_path, monkeypatch):
    package = tmp_path / "slow_package"
    package.mkdir()
    busy = "import time\nstart = time.thread_time()\nwhile time.thread_time() < start + 0.1:\n    pass\n"
    (package / "__init__.py").write_text("from slow_package import part\n" + busy + "whole = True\n")
    (package / "part.py").write_text(busy)
    monkeypatch.syspath_prepend(str(tmp_path))

    def imports():
        import slow_package  # noqa: F401

        while True:
            pass

    try:
        assert attempt(Budget(0.01), imports) is None
        assert sys.modules["slow_package"].whole
        assert sys.modules["slow_package"].part
    finally:
        for name in ("slow_package", "slow_package.part"):
            sys.modules.pop(name, None)


def test_many_calls_whose_time_is_up_leave_no_timer_behind():
    def endless():
        while True:
            pass

    handler = signal.getsignal(signal.SIGALRM)
    for _ in range(50):
        assert attempt(Budget(0.001), endless) is None
    assert signal.getsignal(signal.SIGALRM) is handler


def test_a_timer_that_ran_before_goes_on_afterwards():
    before = signal.setitimer(signal.ITIMER_REAL, 500)
    try:
        with limited(1):
            pass
        assert 0 < signal.getitimer(signal.ITIMER_REAL)[0] <= 500
    finally:
        signal.setitimer(signal.ITIMER_REAL, *before)


def test_a_right_answer_is_called_no_more_often_than_its_tests_do(root):
    calls = []
    root.test("is 2 for 4", points=1)(lambda root: root(4.0))
    result = check("sample", root, lambda x: calls.append(x) or x**0.5)
    assert (result.outcome, len(calls)) == ("right", 1)


def total(x):
    return x.sum()


def test_an_answer_that_prints_or_warns_in_further_calls_is_not_heard(made, told, capsys):
    own = made(total, (torch.arange(6.0),))
    tested = []

    def answer(x):
        tested.append(1)
        if len(tested) > 1:
            print("again")
        return x.mean()

    assert told(own, answer).smallest
    assert capsys.readouterr().out == ""
