"""What somebody who marks by hand sends."""

import msgspec


class NextRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The next answer to a question after ``after``: one that waits, or with ``marked`` one that is marked already.

    Without ``names``, the student is not named.
    """

    question: str
    after: str = ""
    marked: bool = False
    names: bool = False


class OpenRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A certain answer, with the student's name or without."""

    names: bool = False


class MarkRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A mark: items of the rubric, points beside it, a comment, and the stamp of what was seen."""

    items: list[str]
    stamp: str
    points: float | None = None
    comment: str = ""


class ReplyRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A reply to a student who asked for a regrade."""

    text: str


class ItemRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An item of a rubric; ``question`` is needed for a new one."""

    text: str
    points: float
    question: str = ""
