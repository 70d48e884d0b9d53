"""What checking a topic gives: named checks, each with a sentence, and the mutants that no test noticed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from studium.authoring.subject import Subject


class CheckResult(msgspec.Struct, frozen=True):
    """One check: ``detail`` says what was found or, where it failed, what is wrong and what to do, a line for each.

    ``advice`` is what would be better and fails no check unless it is asked to, a line for each.
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
    """What a hidden test fails: so many of the exercise's wrong answers, and ``alone`` those that pass all other tests.

    ``weaker_than`` names a test that fails the same wrong answers and more, "" where there is none.
    """

    exercise: str
    test: str
    fails: int
    total: int
    alone: list[str] = []
    weaker_than: str = ""


class Mutants(msgspec.Struct, frozen=True):
    """How many changed solutions the tests caught; those that are marked as equivalent do not count.

    ``worth`` says the same of each hidden test.
    """

    killed: int = 0
    total: int = 0
    survivors: list[Survivor] = []
    worth: list[Worth] = []


class Report(msgspec.Struct, frozen=True):
    """All checks of one topic; ``waiting`` names those that were left out because one that they wait for fails."""

    topic: str
    passed: bool
    checks: list[CheckResult]
    mutants: Mutants = Mutants()
    waiting: list[str] = []


@dataclass(frozen=True)
class Finding:
    """What one check found: problems, one sentence each (none: it passed), and what to say where there is none.

    A problem misleads or breaks something; ``advice`` is about form, one sentence each.
    """

    problems: Sequence[str]
    summary: str
    mutants: Mutants | None = None
    advice: Sequence[str] = ()


@dataclass(frozen=True)
class TopicCheck:
    """A named check. ``after`` names checks without which it would only repeat their complaints.

    ``apart`` marks one that waits for other processes, so that it can run beside those that compute in this one.
    """

    name: str
    run: "Callable[[Subject], Finding]"
    after: tuple[str, ...] = ()
    apart: bool = False
