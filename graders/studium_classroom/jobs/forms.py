"""What the server asks a worker's process for, and what comes back: msgpack, each message behind its length."""

from datetime import datetime
from typing import Literal

import msgspec
from studium.classroom.messages import CheckAnswer

from studium_classroom.submissions import Graded


class HandedIn(msgspec.Struct, frozen=True):
    """One student's newest submission: its archive, and when the server received it."""

    student: str
    received: datetime
    archive: str


class GradeJob(msgspec.Struct, frozen=True, tag=True):
    """Grade and record submissions of one assignment, and write their feedback."""

    root: str
    assignment: str
    submissions: list[HandedIn]
    executor: str = "local"
    scheduler: str = ""
    trust: bool = False


class CheckJob(msgspec.Struct, frozen=True, tag=True):
    """Check one notebook, or one exercise of it, against all tests of an assignment."""

    root: str
    assignment: str
    notebook: str
    document: str
    exercise: str = ""
    trust: bool = False


class Asked(msgspec.Struct, frozen=True):
    """A job with a number, by which its answer is told apart."""

    number: int
    job: GradeJob | CheckJob


class GradeDone(msgspec.Struct, frozen=True, tag=True):
    """What became of the submissions; ``notes`` are for those who run the server."""

    graded: list[Graded]
    notes: list[str] = []


class CheckDone(msgspec.Struct, frozen=True, tag=True):
    """What a check found, with the id of the mistake that was named in each exercise."""

    answer: CheckAnswer
    mistakes: dict[str, str] = {}


class Failed(msgspec.Struct, frozen=True, tag=True):
    """A job that could not be done, and what was at fault.

    ``request``: what was asked for, which can be corrected. ``course``: the course or this machine, before anybody's
    code was looked at. ``work``: something else, which may be in what was handed in.
    """

    sentence: str
    fault: Literal["request", "course", "work"] = "work"


class Answered(msgspec.Struct, frozen=True):
    """The answer to the job of that number."""

    number: int
    answer: GradeDone | CheckDone | Failed
