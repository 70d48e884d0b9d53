"""What the judge tells the supervisor while it works through a notebook."""

import msgspec

from studium_graders.engine.material.results import CellRun, TestResult


class Started(msgspec.Struct, frozen=True, tag="started"):
    """A step begins: whatever happens until the next step begins is the doing of this cell."""

    cell: str


class Ran(msgspec.Struct, frozen=True, tag="ran"):
    """A cell was run, and this is what it printed and showed."""

    cell: str
    run: CellRun


class Judged(msgspec.Struct, frozen=True, tag="judged"):
    """A test has its result. A later result of the same grade id takes the place of an earlier one.

    ``bounded`` is what may be said of a failed visible test where the student's code knows a hidden one already and can
    have put it into the message; else "". ``mistakes`` are the registered ones that explain why it failed, None where
    it objects to something else than results, or ran in one process, where no calls are seen; which of them is named is
    decided when all tests of the exercise are known. ``undecided``: whether the test passes beside the answer is to be
    found out once all tests have their results, for hidden text would get there.
    """

    result: TestResult
    bounded: str = ""
    mistakes: list[str] | None = []
    undecided: bool = False


class Finished(msgspec.Struct, frozen=True, tag="finished"):
    """Every step had its turn."""


Event = Started | Ran | Judged
