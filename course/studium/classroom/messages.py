"""What the course server and its clients send to each other as JSON. Times have a time zone."""

from datetime import datetime
from typing import Literal

import msgspec

Role = Literal["student", "ta", "instructor", "owner"]
State = Literal["not handed in", "waiting", "replaced", "graded", "not graded", "handed in"]
"""``replaced``: a newer attempt came before this one was graded. ``handed in``: marks are not shown yet."""
Outcome = Literal["right", "wrong", "not attempted"]


class Membership(msgspec.Struct, frozen=True):
    """A course that somebody belongs to. A TA with a ``section`` sees and serves only that section."""

    course: str
    title: str
    role: Role
    section: str = ""


class Me(msgspec.Struct, frozen=True):
    """Who is asking, and which courses they belong to."""

    user: str
    courses: list[Membership]


class Invitation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The secret of an invitation link."""

    invitation: str


class Joined(msgspec.Struct, frozen=True):
    """What an invitation is exchanged for: a token for one member of one course."""

    user: str
    course: str
    token: str


class BoardLink(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The secret of a link that opens a board once."""

    secret: str


class BoardSession(msgspec.Struct, frozen=True):
    """What the link is exchanged for: a token that can read the boards of one course until ``expires``."""

    course: str
    user: str
    token: str
    expires: datetime


class Receipt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A signed record of a submission: ``sha256`` identifies the archive that was sent, ``size`` counts its bytes."""

    course: str
    assignment: str
    student: str
    attempt: int
    received: datetime
    sha256: str
    size: int
    late: bool
    signature: str = ""


class RegradeRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A student's reason why the newest attempt should be marked again."""

    attempt: int
    text: str


class Regrade(msgspec.Struct, frozen=True):
    """A request to mark an attempt again, and the reply; ``reply`` is "" and ``replied`` None until there is one."""

    text: str
    asked: datetime
    reply: str = ""
    replied: datetime | None = None


class Attempt(msgspec.Struct, frozen=True):
    """One submission: its receipt, and what happened to it.

    ``score`` is None until there is a mark that the student may see; ``feedback`` names the notebooks with a page.
    ``regrade`` is the student's request to mark it again, None if there is none.
    """

    receipt: Receipt
    state: State
    score: float | None = None
    max_score: float | None = None
    penalty: float = 0.0
    sentence: str = ""
    feedback: list[str] = []
    regrade: Regrade | None = None


class AssignmentView(msgspec.Struct, frozen=True):
    """An assignment as one student sees it; ``due`` is that student's date, and ``extended`` says whether it was
    postponed.
    """

    course: str
    name: str
    digest: str
    notebooks: list[str]
    due: datetime | None = None
    closes: datetime | None = None
    extended: bool = False
    open: bool = True
    state: State = "not handed in"
    attempts: list[Attempt] = []
    checks_left: int = 0


class Opened(msgspec.Struct, frozen=True):
    """A released assignment: its notebooks, and the time from which students can get it."""

    course: str
    assignment: str
    notebooks: list[str]
    opens: datetime


class Extended(msgspec.Struct, frozen=True):
    """When an assignment is due for everybody, and for the student who was given more time."""

    due: datetime
    until: datetime


class CheckRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A notebook to check, or one exercise of it. ``document`` is the notebook's JSON as text."""

    notebook: str
    document: str
    exercise: str = ""


class CheckedTest(msgspec.Struct, frozen=True):
    """A test that the student also has, and why it fails ("" if it passes)."""

    name: str
    passed: bool
    message: str = ""


class CheckedExercise(msgspec.Struct, frozen=True):
    """One exercise: its visible tests, how many hidden ones pass, and the mistake that explains the failures."""

    exercise: str
    outcome: Outcome
    tests: list[CheckedTest] = []
    hidden_passed: int = 0
    hidden_total: int = 0
    mistake: str = ""


class CheckAnswer(msgspec.Struct, frozen=True):
    """What a check found. ``problem`` is why a notebook stopped before its end, and usually ""."""

    notebook: str
    exercises: list[CheckedExercise]
    problem: str = ""
    checks_left: int = 0


class Refusal(msgspec.Struct, frozen=True):
    """Why a request was refused, in one sentence."""

    message: str
