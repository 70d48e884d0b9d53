"""The first case of a test, which decides what is recorded about a wrong answer, since the test stops there.

Many mistakes agree on a degenerate case, so a wrong answer may be given the name of another.
"""

import inspect
import sys
from collections.abc import Iterator
from typing import Any

from studium.exercises.checking import run_test
from studium.exercises.model import Exercise
from studium.exercises.observation import Call
from studium.exercises.sources import seed_of
from studium.topics.topic import Topic


def degenerate_cases(topic: Topic, exercise: Exercise) -> Iterator[str]:
    """Report tests whose first case has a degenerate argument although a later case has a telling one."""
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
                    f"the first case of the test {test.name!r} of {exercise.id} has `{name}` {fault}, so many "
                    f"mistakes give the same result; begin with a later case, which does not have this "
                    f"[standard.md#first-cases]"
                )
                break


def degenerate(value: Any) -> str:
    """Describe how a value hides mistakes, or return ""."""
    torch = sys.modules.get("torch")
    if type(value) is int and value in (0, 1):
        return f"= {value}"
    if torch is None or not isinstance(value, torch.Tensor) or value.numel() < 2:
        return ""
    if bool((value == value.flatten()[0]).all()):
        return "whose values are all equal"
    sizes = list(value.shape)
    return "with two axes of equal length" if len(set(sizes)) < len(sizes) else ""


def _is_single(value: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor) and value.numel() < 2


def _arguments(exercise: Exercise, call: Call) -> dict[str, Any]:
    try:
        return dict(inspect.signature(exercise.solution).bind(*call.args, **call.kwargs).arguments)
    except TypeError:  # a test may try an argument that does not fit
        return {}
