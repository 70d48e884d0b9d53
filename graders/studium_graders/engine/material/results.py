"""What grading gives: a result for each test, notebook and submission, as plain data that goes to disk and to JSON."""

from typing import Any, Literal

import msgspec

Verdict = Literal[
    "graded",  # every cell and test had its turn
    "missing",  # nothing was handed in for this notebook
    "unreadable",  # the file is no notebook that can be read
    "time limit",
    "memory limit",
    "output limit",
    "process limit",
    "disk limit",
    "file limit",
    "value limit",
    "ended early",  # the student's process was gone: exit(), a crash, a signal
    "broken protocol",  # the student's process sent what is no message
    "engine error",  # our own fault: nothing was recorded, the instructor is told
]
Outcome = Literal[
    "passed",
    "partial",
    "failed",
    "not attempted",
    "review",  # a test that could not be decided: a person will
    "manual",  # a cell that nbgrader has marked by hand
]
WAITING: tuple[Outcome, ...] = ("review", "manual")
Mode = Literal["verified", "unverified"]


class TestResult(msgspec.Struct, frozen=True):
    """One graded cell. ``message`` says in one sentence why points are missing, and is meant for the student.

    What is for ``review`` or ``manual`` waits for a person; its points are 0 here. A ``verified`` test ran apart from
    the answer; the result of an ``unverified`` one is the word of a process in which the student's code ran.
    """

    exercise: str
    name: str
    points: float
    max_points: float
    outcome: Outcome
    message: str = ""
    mistake_id: str = msgspec.field(default="", name="mistake")  # of the misconception that was recognised
    notebook: str = ""
    grade_id: str = ""
    hidden: bool = False  # its source holds a hidden test: feedback must not show it
    mode: Mode = "verified"
    reason: str = ""  # why it is unverified
    said: str = ""  # what is true of an answer without a name; of a hidden test, without a number of its data


class CellRun(msgspec.Struct):
    """What a cell printed and showed: nbformat outputs, capped. ``error`` is "" where it ran to its end."""

    outputs: list[dict[str, Any]] = []
    error: str = ""


class NotebookResult(msgspec.Struct):
    """One notebook: why it ended (``detail`` is a sentence for the student), its tests, the outputs of its cells."""

    name: str
    verdict: Verdict
    tests: list[TestResult]
    runs: dict[str, CellRun] = {}  # by the id of the canonical cell
    detail: str = ""
    notes: list[str] = []  # what the instructor should know, such as retries
    repairs: list[str] = []  # what was put right in the notebook before it was graded, for the student too
    crowded: bool = False  # a time limit was hit while the machine was busy with others


class SubmissionResult(msgspec.Struct):
    """One submission of one student."""

    student: str
    sandbox: str  # "L0" … "L3", or "self-check"
    seconds: float
    notebooks: list[NotebookResult]

    @property
    def tests(self) -> list[TestResult]:
        """All tests of all notebooks."""
        return [test for notebook in self.notebooks for test in notebook.tests]

    @property
    def score(self) -> float:
        """The points that the engine gave."""
        return sum(test.points for test in self.tests)

    @property
    def max_score(self) -> float:
        """The points that could be had, those of manually graded cells included."""
        return sum(test.max_points for test in self.tests)

    @property
    def verdict(self) -> Verdict:
        """The first verdict that is not "graded"."""
        return next((book.verdict for book in self.notebooks if book.verdict != "graded"), "graded")
