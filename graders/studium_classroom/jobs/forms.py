"""What the server and a worker's process send each other: msgpack, each message preceded by its length."""

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
    """A job with a number, which identifies its answer."""

    number: int
    job: GradeJob | CheckJob


class GradeDone(msgspec.Struct, frozen=True, tag=True):
    """The results for the submissions; ``notes`` are for the people who run the server."""

    graded: list[Graded]
    notes: list[str] = []


class CheckDone(msgspec.Struct, frozen=True, tag=True):
    """What a check found, with the id of the mistake named in each exercise."""

    answer: CheckAnswer
    mistakes: dict[str, str] = {}


class Failed(msgspec.Struct, frozen=True, tag=True):
    """A job that failed, and what was at fault.

    ``request``: the request, which can be corrected. ``course``: the course or this machine, before any student's code
    was looked at. ``work``: something else, which may be in what was handed in.
    """

    sentence: str
    fault: Literal["request", "course", "work"] = "work"


class Answered(msgspec.Struct, frozen=True):
    """The answer to the job with that number."""

    number: int
    answer: GradeDone | CheckDone | Failed
