"""What is told of questions, answers and rubrics. Loading this module needs no gradebook."""

import msgspec


class Item(msgspec.Struct, frozen=True):
    """One item of a rubric, and how many answers have it."""

    id: str
    text: str
    points: float
    used: int = 0


class Rubric(msgspec.Struct, frozen=True):
    """The rubric of a question after a change, and how many answers were marked again because of it."""

    question: str
    items: list[Item]
    again: int = 0


class AnswerName(msgspec.Struct, frozen=True):
    """An answer that can be opened, and the title of its question."""

    answer: str
    question: str
    title: str


class Counts(msgspec.Struct, frozen=True):
    """A question: how many answers wait for a person, are marked, are marked by you, and are held by others now."""

    question: str
    title: str
    max_score: float
    waiting: int
    marked: int
    mine: int
    held: int


class Opened(msgspec.Struct, frozen=True):
    """An answer that you hold. ``mark`` is the one by hand, ``auto`` the test's own; ``points`` are beside the rubric.

    ``changed`` is true if it was marked before and has changed since; ``stamp`` names what you have seen.
    """

    answer: str
    student: str
    question: str
    max_score: float
    auto: float | None
    mark: float | None
    items: list[str]
    points: float | None
    comment: str
    changed: bool
    marked_by: str
    rubric: list[Item]
    stamp: str


class ShownAnswer(msgspec.Struct, frozen=True):
    """One cell of the answer: harmless HTML, and that of its outputs."""

    label: str
    html: str
    outputs_html: list[str]


class ShownCheck(msgspec.Struct, frozen=True):
    """What was checked, in words; ``own`` is true for the cell that is marked."""

    name: str
    word: str
    points: float
    max_points: float
    message: str
    mistake: str
    own: bool


class Shown(msgspec.Struct, frozen=True):
    """An answer. ``question_html``, ``test_html`` and ``solution_html`` are "" if the course has none.

    ``notice`` tells why there is no answer to see.
    """

    question_html: str
    answers: list[ShownAnswer]
    checks: list[ShownCheck]
    test_html: str
    solution_html: str
    notice: str = ""
