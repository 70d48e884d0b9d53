"""The contents of a feedback page, before it becomes HTML. Strings are plain text unless their name contains html."""

from datetime import datetime
from typing import Literal

import msgspec

Word = Literal["passed", "partial credit", "failed", "not attempted", "waits for marking", "marked by hand"]


class Answer(msgspec.Struct):
    """One of the student's cells: its source and outputs as safe HTML, and what somebody wrote about it."""

    label: str
    html: str
    outputs_html: list[str] = []
    remark: str = ""
    by_hand: bool = False


class Check(msgspec.Struct):
    """One graded cell, with the points that count. ``trace_html`` is the safe traceback of a visible test."""

    name: str
    points: float
    max_points: float
    word: Word
    message: str = ""
    mistake: str = ""
    hidden: bool = False
    trace_html: str = ""
    notes: list[str] = []


class Section(msgspec.Struct):
    """One exercise: the answers, then what was checked; ``cells`` are the graded cells of the checks."""

    title: str
    answers: list[Answer] = []
    checks: list[Check] = []
    cells: list[str] = []

    @property
    def points(self) -> float:
        """The points of all checks."""
        return sum(check.points for check in self.checks)

    @property
    def max_points(self) -> float:
        """The points that could be earned."""
        return sum(check.max_points for check in self.checks)

    @property
    def mistakes(self) -> list[str]:
        """The mistakes that were recognised, without repeats."""
        return list(dict.fromkeys(check.mistake for check in self.checks if check.mistake))

    @property
    def word(self) -> Word | Literal[""]:
        """The outcome of all checks together; "" if there are none."""
        words = {check.word for check in self.checks}
        if len(words) < 2:
            return next(iter(words), "")
        if "waits for marking" in words:
            return "waits for marking"
        if self.points >= self.max_points:
            return "passed"
        return "partial credit" if self.points > 0 else "failed"


class Page(msgspec.Struct):
    """One notebook of one submission. Times have a zone; ``whole`` are points of an assignment with several notebooks.

    ``repairs`` are sentences about what was repaired in the notebook before it was graded.
    """

    course: str
    assignment: str
    notebook: str
    title: str
    student: str
    student_name: str
    handed_in: datetime | None
    due: datetime | None
    score: float
    max_score: float
    penalty: float
    final: float
    sections: list[Section]
    others: list[Answer] = []
    notice: str = ""
    repairs: list[str] = []
    graded_by: str = ""
    whole: tuple[float, float] | None = None

    @property
    def waiting(self) -> float:
        """The points that wait for a person."""
        checks = (check for section in self.sections for check in section.checks)
        return sum(check.max_points for check in checks if check.word == "waits for marking")

    @property
    def seconds_late(self) -> float:
        """How late the submission was."""
        return max(0.0, (self.handed_in - self.due).total_seconds()) if self.handed_in and self.due else 0.0
