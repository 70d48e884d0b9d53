"""What the judge tells the supervisor while it works through a notebook."""

from typing import Literal

import msgspec

from studium_graders.engine.material.results import CellRun, TestResult

How = Literal["apart", "whole"]
"""How tests run: apart from the answers, which another process runs, or with them in one shell, as in nbgrader."""


class Planned(msgspec.Struct, frozen=True, tag="planned"):
    """Which passes judge which tests, told before a pass begins.

    ``reasons`` says, by the id of its cell, why a test is judged whole, "" where it is judged apart. ``late`` are the
    visible tests that need what a hidden one makes, and count with the hidden ones.
    """

    reasons: dict[str, str]
    late: frozenset[str]

    def how(self, cell: str) -> How:
        """Return how a test runs."""
        return "whole" if self.reasons.get(cell) else "apart"


class Started(msgspec.Struct, frozen=True, tag="started"):
    """A step begins: whatever happens until the next step begins is the doing of this cell."""

    cell: str


class Ran(msgspec.Struct, frozen=True, tag="ran"):
    """A cell was run, and this is what it printed and showed."""

    cell: str
    run: CellRun


class Judged(msgspec.Struct, frozen=True, tag="judged"):
    """A test has its result.

    ``mistakes`` are the registered ones that explain why it failed, None where it objects to something else than
    results, or ran whole, where no calls are seen; which of them is named is decided when all tests of the exercise are
    known. ``unwritten`` where the test of a topic met NotImplementedError.
    """

    result: TestResult
    mistakes: list[str] | None = []
    unwritten: bool = False


class Finished(msgspec.Struct, frozen=True, tag="finished"):
    """Every step had its turn."""


Event = Planned | Started | Ran | Judged | Finished
