"""What only calling an answer once more shows: gradients that do not arrive, and how it calls what it was given."""

import dataclasses
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from studium.exercises.explaining.budget import Budget, can_interrupt
from studium.exercises.explaining.evidence import Case, Evidence, attempt, call_quietly
from studium.exercises.explaining.finding import Finding
from studium.exercises.explaining.values import array, is_module, is_tensor, parts
from studium.exercises.model import AnyFunction
from studium.exercises.observation import Call, snapshot

_FEW = 4  # calls that are repeated


def gradient(evidence: Evidence, budget: Budget) -> Finding | None:
    """Say which argument gets no gradient, where right answers give it one and no passed test does without."""
    function = evidence.function
    failed = [case for case in evidence.cases if not case.passed and _wants_gradient(case)]
    if function is None or not can_interrupt() or any(case.verdict == "wrong" for case in evidence.cases):
        return None
    for case in failed[:_FEW]:
        own = attempt(budget, partial(_reached, function, evidence, case.call))
        wanted = attempt(budget, partial(_reached, evidence.exercise.solution, evidence, case.call))
        if own is None or wanted is None:
            return None
        missing = [name for name, reached in wanted.items() if reached and not own.get(name)]
        if missing:
            return Finding(f"Your values are right, but no gradient reaches `{missing[0]}`.", "no gradient")
    return None


def _wants_gradient(case: Case) -> bool:
    values = (*case.call.args, *case.call.kwargs.values())
    return case.call.recorded_gradients and any(is_tensor(v) and v.requires_grad for v in values)


def _reached(function: AnyFunction, evidence: Evidence, call: Call) -> dict[str, bool]:
    """Return by argument whether a gradient of the result's fixed projection reaches it."""
    torch = sys.modules["torch"]
    args, kwargs = snapshot(call.args), snapshot(call.kwargs)
    result = call_quietly(function, args, kwargs)
    names = list(evidence.named(call))
    given = [*zip(names, args, strict=False), *kwargs.items()]
    wanted = {name: value for name, value in given if is_tensor(value) and value.requires_grad}
    sums = [_projected(part.value) for part in parts(result) if is_tensor(part.value) and part.value.requires_grad]
    if not sums or not wanted:
        return {}
    found = torch.autograd.grad(sum(sums), list(wanted.values()), allow_unused=True)
    return {name: g is not None and bool(g.abs().sum() > 0) for name, g in zip(wanted, found, strict=True)}


def _projected(value: Any) -> Any:
    torch = sys.modules["torch"]
    weights = torch.linspace(0.5, 1.5, max(value.numel(), 1), dtype=value.dtype)
    return (value.flatten() * weights[: value.numel()]).sum()


def callback(evidence: Evidence, budget: Budget) -> Finding | None:
    """Say how the answer calls a function that it was given, where that differs from the solution in a wrong call."""
    function, solution = evidence.function, evidence.exercise.solution
    if function is None or not can_interrupt():
        return None
    for case in [case for case in evidence.wrong if not case.hidden][:_FEW]:
        own = attempt(budget, partial(_heard, function, evidence, case.call))
        wanted = attempt(budget, partial(_heard, solution, evidence, case.call))
        again = attempt(budget, partial(_heard, solution, evidence, case.call))
        others = [attempt(budget, partial(_heard, one, evidence, case.call)) for one in evidence.exercise.alternatives]
        if not own or not wanted or wanted != again or any(other != wanted for other in others):
            return None
        for name, calls in wanted.items():
            if text := _differs(name, own[name], calls):
                return Finding(text, "callback", values=True)
    return None


def _differs(name: str, own: list[str], wanted: list[str]) -> str:
    if not wanted or own == wanted:
        return ""
    if len(own) != len(wanted):
        return f"Your function calls `{name}` {_times(len(own))}, and should call it {_times(len(wanted))}."
    number = next(n for n, (one, other) in enumerate(zip(own, wanted, strict=True)) if one != other)
    which = "" if len(own) == 1 else f" in call {number + 1}"
    return f"Your function gives `{name}` {own[number]}{which}, and should give it {wanted[number]}."


def _times(count: int) -> str:
    return {0: "never", 1: "once", 2: "twice"}.get(count, f"{count} times")


def _heard(function: AnyFunction, evidence: Evidence, call: Call) -> dict[str, list[str]]:
    """Return the shapes of what a function gives to each function or module among its arguments, by call."""
    calls: dict[str, list[str]] = {}
    names = list(evidence.named(call))

    def spied(name: str, value: Any) -> Any:
        if is_module(value):
            calls[name] = []
            value.register_forward_pre_hook(lambda module, given: calls[name].append(_shapes(given)))
            return value
        if not callable(value) or isinstance(value, type):
            return value
        calls[name] = []
        return _spy(value, calls[name])

    given = dataclasses.replace(call, args=snapshot(call.args), kwargs=snapshot(call.kwargs))
    args = tuple(spied(name, value) for name, value in zip(names, given.args, strict=False))
    call_quietly(function, args, {name: spied(name, value) for name, value in given.kwargs.items()})
    return calls


def _spy(value: Callable[..., Any], heard: list[str]) -> Callable[..., Any]:
    def spy(*args: Any, **kwargs: Any) -> Any:
        heard.append(_shapes((*args, *kwargs.values())))
        return value(*args, **kwargs)

    return spy


def _shapes(given: tuple[Any, ...]) -> str:
    shapes = [array(value) for value in given]
    known = [f"shape {tuple(one.shape)}" for one in shapes if one is not None and one.ndim]
    return " and ".join(known) or "a number" if given else "nothing"
