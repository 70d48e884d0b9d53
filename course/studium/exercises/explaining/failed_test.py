"""What went wrong in a test, in one sentence for the learner; never a traceback."""

import inspect
import sys
import traceback
from pathlib import Path
from typing import Any

import numpy as np

from studium.exercises.changed_arguments import changed_argument
from studium.exercises.model import AnyFunction, Exercise
from studium.exercises.observation import Call
from studium.exercises.unwritten import unwritten_callee


def explain(exercise: Exercise, error: BaseException, calls: list[Call], function: AnyFunction) -> str:
    """Return why a test failed: a changed argument first, because what the test says then may hang on it."""
    if changed := changed_argument(exercise, calls):
        return changed
    if callee := unwritten_callee(error, function):
        return f"{exercise.id} calls {callee}, which is not written yet; write {callee} first"
    if isinstance(error, AssertionError):
        return f"{_asserted(error)}{_other_kind(exercise, calls)}"
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return _raised(error, text, function, exercise.file) or _elsewhere(exercise.id, error, text, calls)


def _asserted(error: AssertionError) -> str:
    line = traceback.extract_tb(error.__traceback__)[-1].line or ""
    return str(error) or f"this should hold and does not: {line.removeprefix('assert ')}"


def _raised(error: BaseException, text: str, function: AnyFunction, tests: Path) -> str:
    """Say what the function's own code raised, or what the test gave it and it called; "" where neither did."""
    line, in_test = own_line(error, function, tests)
    name = getattr(function, "__name__", "your function")
    if line is None:
        return ""
    if in_test:
        return f"the test's own code raised {text}, where {name} called it in the line `{line}`"
    return f"{name} raised {text}" + (f", in the line `{line}`" if line else "")


def own_line(error: BaseException, function: AnyFunction, tests: Path) -> tuple[str | None, bool]:
    """Return the last line of the function's own in an error's traceback, None where there is none.

    And whether it called the test's own code there, which raised the error: a hook, or a model that the test made.
    """
    code = getattr(inspect.unwrap(function), "__code__", None)
    frames = traceback.extract_tb(error.__traceback__)
    own = [n for n, frame in enumerate(frames) if code is not None and frame.filename == code.co_filename]
    if code is None or not own:
        return None, False
    in_test = str(tests) != code.co_filename and frames[-1].filename == str(tests)
    return frames[own[-1]].line or "", in_test


def _elsewhere(name: str, error: BaseException, text: str, calls: list[Call]) -> str:
    """Say what the function's last call did, where no line of the function's own is in the traceback."""
    if not calls:
        return f"the test ended before it called {name}: {text}"
    last = calls[-1].observed
    if last.raised is type(error):
        return f"{name} raised {text}"
    if last.raised:
        return f"{name} raised {last.raised.__name__}, and the test ended with {text}"
    return f"{name} returned {described(last.result)}, which could not be used: {text}"


def _other_kind(exercise: Exercise, calls: list[Call]) -> str:
    """Say that a NumPy array came in the place of a tensor, or the other way round: they print alike."""
    if not calls or exercise.public:
        return ""
    given, wanted = calls[-1].observed.result, calls[-1].replay(exercise.solution).result
    if type(given) is type(wanted) or not (_has_axes(given) and _has_axes(wanted)):
        return ""
    return f" ({exercise.id} returned {_kind(given)}, and {_kind(wanted)} is expected)"


def described(value: Any) -> str:
    """Return what a value is in a few words: "a tensor of shape (3, 4) in float32", "a tuple of 2", "None"."""
    if _has_axes(value):
        return f"{_kind(value)} of shape {tuple(value.shape)} in {str(value.dtype).removeprefix('torch.')}"
    if value is None or isinstance(value, bool):
        return str(value)
    if isinstance(value, list | tuple | dict | set | str):
        return f"a {type(value).__name__} of {len(value)}"
    if isinstance(value, int | float):
        return f"the number {value:.6g}"
    return f"{'an' if type(value).__name__[0] in 'aeiouAEIOU' else 'a'} {type(value).__name__}"


def _kind(value: Any) -> str:
    return "a NumPy array" if isinstance(value, np.ndarray) else "a tensor"


def _has_axes(value: Any) -> bool:
    torch = sys.modules.get("torch")
    return isinstance(value, np.ndarray) or (torch is not None and isinstance(value, torch.Tensor))
