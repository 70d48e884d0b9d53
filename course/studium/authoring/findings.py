"""The result of checking a topic: named checks, each with a sentence, and the mutants that no test noticed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from studium.authoring.subject import Subject


class CheckResult(msgspec.Struct, frozen=True):
    """One check. ``detail`` reports what was found or, if it failed, each problem and what to do, one per line.

    ``advice`` lists improvements, one per line, which fail a check only on request.
    """

    name: str
    passed: bool
    detail: str
    advice: str = ""


class Survivor(msgspec.Struct, frozen=True):
    """A changed solution that passes all tests: the line in the exercise's ``file``, and the change as a diff."""

    exercise: str
    line: int
    change: str
    file: str = "exercises.py"


class Worth(msgspec.Struct, frozen=True):
    """How many of an exercise's wrong answers a hidden test fails, and how many only it fails (``alone``).

    ``weaker_than`` names a test that fails the same wrong answers and more, or is "".
    """

    exercise: str
    test: str
    fails: int
    total: int
    alone: list[str] = []
    weaker_than: str = ""


class Mutants(msgspec.Struct, frozen=True):
    """How many changed solutions the tests caught; those marked as equivalent do not count.

    ``worth`` gives the same for each hidden test.
    """

    killed: int = 0
    total: int = 0
    survivors: list[Survivor] = []
    worth: list[Worth] = []


class Report(msgspec.Struct, frozen=True):
    """All checks of one topic; ``waiting`` names those left out because a check they depend on failed."""

    topic: str
    passed: bool
    checks: list[CheckResult]
    mutants: Mutants = Mutants()
    waiting: list[str] = []


@dataclass(frozen=True)
class Finding:
    """What one check found: problems, one sentence each (none: it passed), and what to report if there are none.

    A problem misleads learners or breaks something; ``advice`` is about form, one sentence each.
    """

    problems: Sequence[str]
    summary: str
    mutants: Mutants | None = None
    advice: Sequence[str] = ()


@dataclass(frozen=True)
class TopicCheck:
    """A named check. ``after`` names checks that must pass first, since it would only repeat their complaints.

    ``apart`` marks a check that waits for other processes, so it can run alongside those that compute in this one.
    """

    name: str
    run: "Callable[[Subject], Finding]"
    after: tuple[str, ...] = ()
    apart: bool = False
