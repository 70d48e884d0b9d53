"""The first case of a test: it decides what is recorded of a wrong answer, as a test ends with the case that fails.

On a degenerate case many mistakes agree, and a wrong answer may hear the name of another.
"""

import inspect
import sys
from collections.abc import Iterator
from typing import Any

from studium.checking import run_test
from studium.exercises import Exercise
from studium.observation import Call
from studium.sources import seed_of
from studium.topic import Topic


def degenerate_cases(topic: Topic, exercise: Exercise) -> Iterator[str]:
    """Say which tests begin with a degenerate value of an argument that has a telling one in a later case."""
    if inspect.isclass(exercise.solution):
        return
    for test in exercise.tests:
        calls = run_test(test, exercise.solution, seed_of(topic.slug, exercise, test)).calls
        cases = [_arguments(exercise, call) for call in calls]
        for name, first in cases[0].items() if len(cases) > 1 else ():
            fault = degenerate(first)
            later = [case[name] for case in cases[1:] if name in case and type(case[name]) is type(first)]
            if fault and any(not degenerate(value) and not _is_single(value) for value in later):
                yield (
                    f"the first case of the test {test.name!r} of {exercise.id} has `{name}` {fault}, on which many "
                    "mistakes agree, and a later case has not; begin with that one [standard.md#first-cases]"
                )
                break


def degenerate(value: Any) -> str:
    """Say in which way a value hides mistakes, or ""."""
    torch = sys.modules.get("torch")
    if type(value) is int and value in (0, 1):
        return f"= {value}"
    if torch is None or not isinstance(value, torch.Tensor) or value.numel() < 2:
        return ""
    if bool((value == value.flatten()[0]).all()):
        return "with all its values equal"
    sizes = list(value.shape)
    return "with two axes of one length" if len(set(sizes)) < len(sizes) else ""


def _is_single(value: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor) and value.numel() < 2


def _arguments(exercise: Exercise, call: Call) -> dict[str, Any]:
    try:
        return dict(inspect.signature(exercise.solution).bind(*call.args, **call.kwargs).arguments)
    except TypeError:  # a test may try what does not fit
        return {}
