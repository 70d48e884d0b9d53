"""Running a test cell in the judge: its value, its error, what it printed."""

import asyncio
import io
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from inspect import CO_COROUTINE
from types import CodeType
from typing import Any

from studium_graders.engine.judge.compiling import CompiledTest
from studium_graders.engine.judge.guard import watched
from studium_graders.engine.judge.namespace import MainModule, Namespace
from studium_graders.engine.judge.scoring import is_number
from studium_graders.engine.judge.suites import Suites, watched_suites
from studium_graders.engine.kinds.cell_outputs import sendable


@dataclass(frozen=True)
class Ran:
    """How a test ended. ``value`` is that of its last expression, None where it has none."""

    value: Any
    error: BaseException | None
    printed: str
    warned: str
    suites: Suites


class CappedText(io.StringIO):
    """Text of limited size: what is beyond is dropped."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.left = size

    def write(self, text: str) -> int:
        """Keep as much of ``text`` as there is room for."""
        super().write(text[: self.left])
        self.left = max(0, self.left - len(text))
        return len(text)


def run_test_code(
    code: CompiledTest,
    namespace: Namespace,
    output_kb: int,
) -> Ran:
    """Run a test; nothing that it raises comes through."""
    out, err = CappedText(output_kb * 1024), CappedText(output_kb * 1024)
    value, error = None, None
    with (
        as_main(namespace),
        redirect_stdout(out),
        redirect_stderr(err),
        watched_suites() as suites,
        watched() as refusal,
    ):
        try:
            _run(code.body, namespace)
            value = None if code.value is None else _run(code.value, namespace)
        except BaseException as caught:  # a test, or what it calls, may raise SystemExit
            error = caught
    error = refusal() or error
    if error is None and suites.failures and not is_number(value):
        error = AssertionError(suites.failures[0])
    return Ran(value, error, out.getvalue(), err.getvalue(), suites)


def run_definitions(codes: tuple[CodeType, ...], namespace: Namespace) -> None:
    """Run statements of the instructor's for what they bind; one that fails here binds nothing."""
    with as_main(namespace), redirect_stdout(CappedText(0)), redirect_stderr(CappedText(0)):
        for code in codes:
            try:
                _run(code, namespace)
            except Exception:  # noqa: S112 (each stands alone: the student's process has its own copy)
                continue


@contextmanager
def as_main(namespace: Namespace) -> Iterator[None]:
    """Let ``__main__`` be the notebook."""
    before = sys.modules["__main__"]
    sys.modules["__main__"] = MainModule(namespace)
    try:
        yield
    finally:
        sys.modules["__main__"] = before


def _run(code: CodeType, namespace: Namespace) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a warning is no mistake
        value = eval(code, namespace)  # noqa: S307 (the instructor's own test)
        return asyncio.run(value) if code.co_flags & CO_COROUTINE else value


def outputs_of(ran: Ran) -> list[dict[str, Any]]:
    """Return what a test printed, as nbformat outputs."""
    streams = (("stdout", ran.printed), ("stderr", ran.warned))
    return [{"output_type": "stream", "name": name, "text": sendable(text)} for name, text in streams if text]
