"""Why a test failed, in one sentence for the student.

Of a visible test everything may be said. Of a hidden test only what cannot carry its data: the kind of error in a
bounded vocabulary, a line that stands in the student's own notebook, and a message of the author's where that is a
plain literal in which there is neither a number nor a string of the test's code.
"""

import os
import sys
from pathlib import Path

from studium.exercises.memory_limit import TooMuchMemoryError

from studium_graders.engine.judge.canonical_text import CanonicalText
from studium_graders.engine.judge.failing_line import FailingLine
from studium_graders.engine.kinds.assertion_text import unmet
from studium_graders.engine.processes.endings import text_of_breach
from studium_graders.engine.wire.codec import RefusedError

_LONGEST = 600
_SOME_ASSERTION = "an assertion of the test does not hold"


def full_message(error: BaseException, where: FailingLine | None, text: CanonicalText, name: str) -> str:
    """Say everything about a failed visible test of the student's function ``name``."""
    said = _said(error)
    if isinstance(error, AssertionError):
        return short(_asserted(where, said))
    what = said if said and is_ours(type(error)) else ": ".join(filter(None, (type(error).__name__, said)))
    if line := _student_line(error, text):
        return short(f"{name} raised {what}, in the line `{line}`")
    if not _did_not_raise(error):
        return short(f"the result could not be used: {what}")
    return short(f"{what}, in the test's line `{where.line}`" if where else what)


def is_ours(cls: type) -> bool:
    """Return whether a class is the engine's own, whose name would tell a student nothing."""
    return str(cls.__module__).partition(".")[0] == __name__.partition(".")[0]


def _said(error: BaseException) -> str:
    """Return the text of an error; "" where that of an object in it cannot be had."""
    try:
        return str(error)
    except Exception:
        return ""


def bounded_message(error: BaseException, where: FailingLine | None, text: CanonicalText, name: str) -> str:
    """Say of a failed test what cannot carry a hidden test's data."""
    test = f"a hidden test of {name}"
    if _did_not_raise(error):
        return f"{test} failed: the result is not what is expected"
    if isinstance(error, TooMuchMemoryError):
        return f"{test} failed: your code needs more memory than the test allows"
    if isinstance(error, AssertionError):
        literal = "" if where is None else where.safe_literal
        return literal or f"{test} failed: the result is not what is expected"
    if isinstance(error, RefusedError):
        return f"{test} failed: a plain value is needed where your code has an object of its own"
    line, limit = _student_line(error, text), text_of_breach(" ".join(arg for arg in error.args if type(arg) is str))
    raised = f"{_kind(error)} ({limit})" if limit else _kind(error)
    return f"{test} failed: {raised} was raised" + (f" in the line `{line}`" if line else "")


def _did_not_raise(error: BaseException) -> bool:
    """Return whether ``pytest.raises`` or ``pytest.fail`` has found what an assertion could have."""
    failed = getattr(sys.modules.get("_pytest.outcomes"), "Failed", None)
    return failed is not None and isinstance(error, failed)


def _kind(error: BaseException) -> str:
    """Name the class of an error if it is Python's own or a library's, for a student can name a class anything."""
    for kind in type(error).__mro__:
        module = sys.modules.get(kind.__module__)
        if kind.__module__ != "__main__" and not is_ours(kind) and getattr(module, kind.__name__, None) is kind:
            return str(kind.__name__)
    return "an error"


def _student_line(error: BaseException, text: CanonicalText) -> str:
    line = getattr(error, "student_line", "")
    return line.strip() if isinstance(line, str) and text.has_line(line) else ""


def _asserted(where: FailingLine | None, said: str) -> str:
    statement = None if where is None else where.assertion
    return unmet(statement, said) if statement else said or _SOME_ASSERTION


def short(text: str) -> str:
    """Return a text as one line of bounded length."""
    text = text.replace(f"{Path.cwd()}{os.sep}", "")  # the judge's own folder
    text = "".join(letter if letter.isprintable() else " " for letter in text.strip())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} …"
