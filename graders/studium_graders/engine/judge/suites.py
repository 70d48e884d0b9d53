"""unittest inside a cell: a suite that fails counts, though it raises nothing, and so does a test that was skipped."""

import sys
import unittest
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

_run = unittest.TextTestRunner.run
_OUTCOMES = {"addSuccess": "passed", "addSkip": "excused", "addExpectedFailure": "excused"}


@dataclass
class Suites:
    """What came of the suites in a cell: their ``failures``, and how many of their tests ran to success.

    Those that were skipped, or failed as they should, are ``excused``. A suite that has such tests is a success.
    """

    failures: list[str] = field(default_factory=list)
    passed: int = 0
    excused: int = 0


@contextmanager
def watched_suites() -> Iterator[Suites]:
    """Count tests, and collect the failures of suites that report to stderr: in nbgrader those are 0 points."""
    suites = Suites()

    def run(runner: Any, suite: Any) -> Any:
        result = _run(runner, suite)
        if not result.wasSuccessful() and runner.stream.stream is sys.stderr:
            details = [text.strip().splitlines()[-1] for _, text in (*result.failures, *result.errors)]
            suites.failures.append(next(iter(details), "an unexpected success"))
        return result

    with ExitStack() as patches:
        patches.enter_context(mock.patch.object(unittest.TextTestRunner, "run", run))
        for method, outcome in _OUTCOMES.items():
            patches.enter_context(mock.patch.object(unittest.TestResult, method, _counting(suites, method, outcome)))
        yield suites


def _counting(suites: Suites, method: str, outcome: str) -> Any:
    original = getattr(unittest.TestResult, method)

    def count(*args: Any) -> Any:
        setattr(suites, outcome, getattr(suites, outcome) + 1)
        return original(*args)

    return count
