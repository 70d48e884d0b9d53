"""Which recorded calls count: an answer's call is wrong, right, or open because several results are acceptable."""

import contextlib
import inspect
import random
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeVar

import numpy as np

from studium.exercises.explaining.budget import Budget, can_interrupt, limited
from studium.exercises.explaining.values import same
from studium.exercises.memory_limit import ran_out
from studium.exercises.model import AnyFunction, Exercise
from studium.exercises.observation import Call, Observation, snapshot

T = TypeVar("T")
Verdict = Literal["wrong", "right", "open"]
_MOST = 24  # calls of a test: what holds in so many needs no more


@dataclass(frozen=True)
class Told:
    """A test that was run: its name, whether it is hidden, the error that ended it, and the calls that it made."""

    name: str
    hidden: bool
    error: BaseException | None
    calls: list[Call]

    @property
    def passed(self) -> bool:
        """Whether the test ran to its end."""
        return self.error is None


@dataclass(frozen=True)
class Case:
    """A recorded call, what the solution does in it, and what that says of the answer."""

    call: Call
    hidden: bool
    passed: bool
    right: Observation
    verdict: Verdict


@dataclass(frozen=True)
class Evidence:
    """All that is known of a wrong answer. ``function`` is None where it must not be called again."""

    exercise: Exercise
    cases: list[Case]
    function: AnyFunction | None = None

    @property
    def wrong(self) -> list[Case]:
        """The calls that went wrong."""
        return [case for case in self.cases if case.verdict == "wrong"]

    @property
    def right(self) -> list[Case]:
        """The calls in which the answer does what the solution does."""
        return [case for case in self.cases if case.verdict == "right"]

    @property
    def failed(self) -> list[Case]:
        """The calls of failed tests in which the answer does not do what the solution does, open ones included."""
        return [case for case in self.cases if not case.passed and case.verdict != "right"]

    @property
    def plain(self) -> list[Case]:
        """The wrong calls in which neither the answer nor the solution raised: what relations are about."""
        return [case for case in self.wrong if not (case.call.observed.raised or case.right.raised)]

    def named(self, call: Call) -> dict[str, Any]:
        """Return the arguments of a call by name, with defaults; {} where they do not fit the solution."""
        return named(self.exercise.solution, call)


def gather(exercise: Exercise, tests: Iterable[Told], budget: Budget, function: AnyFunction | None = None) -> Evidence:
    """Judge the calls of all tests, those of failed and visible tests first, until the budget is spent."""
    cases: list[Case] = []
    ordered = sorted(tests, key=lambda test: (test.passed, test.hidden))
    for test in ordered:
        for call in test.calls[:_MOST]:
            case = attempt(budget, partial(judged, exercise, test, call))
            if case is None:
                return Evidence(exercise, cases, function)
            cases.append(case)
    return Evidence(exercise, cases, function)


def judged(exercise: Exercise, test: Told, call: Call) -> Case:
    """Say whether a call is wrong, right or open."""
    right = call.replay(exercise.solution)
    return Case(call, test.hidden, test.passed, right, _verdict(exercise, test, call, right))


def _verdict(exercise: Exercise, test: Told, call: Call, right: Observation) -> Verdict:
    agrees = alike(call.observed, right)
    if ran_out(call.observed.raised, call.observed.said):  # which a test may have limited
        return "open"
    if not all(alike(call.replay(other), right) for other in exercise.alternatives):
        return "open"
    if agrees:
        return "right"
    if test.passed or (not exercise.alternatives and draws(exercise.solution, call)):
        return "open"
    return "wrong"


def alike(one: Observation, other: Observation) -> bool:
    """Return whether two calls had the same effect, within the tolerance of explanations."""
    if one.raised or other.raised:
        return one.raised is other.raised
    return same(one.result, other.result) and same(one.arguments, other.arguments)


def attempt(budget: Budget, work: Callable[[], T]) -> T | None:
    """Return what ``work`` returns, None where the time is up before or while it works, or where it would exit."""
    if budget.spent:
        return None
    timer = limited(budget.left) if can_interrupt() and budget.interrupts else contextlib.nullcontext()
    try:
        with timer, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a warning is no mistake
            return work()
    except KeyboardInterrupt:
        raise
    except BaseException:  # its time is up, or an answer calls exit()
        return None


def draws(function: AnyFunction, call: Call) -> bool:
    """Return whether a function draws random numbers in a call, so that another order of draws may be right too."""
    torch = sys.modules.get("torch")
    inner = list(_inner((*call.args, *call.kwargs.values())))
    if any(isinstance(value, np.random.Generator | random.Random) for value in inner):
        return True
    if torch is None:
        return False
    args, kwargs = snapshot(call.args), snapshot(call.kwargs)
    generators = [v for v in _inner((*args, *kwargs.values())) if isinstance(v, torch.Generator)]
    before = [one.get_state() for one in generators]
    with torch.random.fork_rng(devices=[]):
        torch.set_rng_state(call.random_state)
        call_quietly(function, args, kwargs)
        drew = not torch.equal(torch.get_rng_state(), call.random_state)
    return drew or any(not torch.equal(g.get_state(), state) for g, state in zip(generators, before, strict=True))


def call_quietly(function: AnyFunction, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call a function for its effects; None where it raises."""
    try:
        return function(*args, **kwargs)
    except Exception:
        return None


def named(function: AnyFunction, call: Call) -> dict[str, Any]:
    """Return the arguments of a call by the names of ``function``, with its defaults; {} where they do not fit."""
    try:
        bound = inspect.signature(function).bind(*call.args, **call.kwargs)
    except (TypeError, ValueError):
        return {}
    bound.apply_defaults()
    return dict(bound.arguments)


def _inner(value: Any) -> Iterator[Any]:
    if isinstance(value, list | tuple):
        for item in value:
            yield from _inner(item)
    elif isinstance(value, dict):
        yield from _inner(tuple(value.values()))
    else:
        yield value
