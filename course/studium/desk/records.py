"""Entries: what a learner did, with a struct for each kind. An entry is written once and never changed.

Entries also come from files made on other machines, so each field has limits, and anything that does not fit is
rejected when decoding.
"""

import secrets
import time
from typing import Annotated, Literal

import msgspec

LONGEST_ANSWER = 100_000  # characters
Id = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{32}$")]
Slug = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=200)]
Name = Annotated[str, msgspec.Meta(pattern=r"^[^\W\d]\w*$|^$", max_length=200)]
Answer = Annotated[str, msgspec.Meta(max_length=LONGEST_ANSWER)]
Sentence = Annotated[str, msgspec.Meta(max_length=10_000)]
Milliseconds = Annotated[int, msgspec.Meta(ge=0, le=1 << 45)]


class Checked(msgspec.Struct, frozen=True, tag="checked"):
    """An answer was checked: the outcome, the failed test to show, and the id of the mistake that was recognised.

    In the files the id is called ``mistake``. Entries written before mistakes had ids store the mistake's sentence
    there. ``among``: the mistake is one among others. ``said`` is what else is true of the answer, ``smallest`` the
    smallest call that goes wrong. These three are left out of the files if there is nothing to say, so that progress
    files from before they existed keep their checksum.
    """

    outcome: Literal["right", "wrong"]
    points: float
    max_points: float
    test: Sentence = ""
    message: Sentence = ""
    mistake_id: Sentence = msgspec.field(default="", name="mistake")
    answer: Answer = ""
    among: bool | msgspec.UnsetType = msgspec.UNSET
    said: Sentence | msgspec.UnsetType = msgspec.UNSET
    smallest: Sentence | msgspec.UnsetType = msgspec.UNSET


class Hinted(msgspec.Struct, frozen=True, tag="hinted"):
    """Hint ``number`` (from 1) was taken."""

    number: Annotated[int, msgspec.Meta(ge=1, le=1000)]


class Revealed(msgspec.Struct, frozen=True, tag="revealed"):
    """A solution was shown."""


class Kept(msgspec.Struct, frozen=True, tag="kept"):
    """An answer was set aside before the notebook was changed, or (``restored``) put back."""

    reason: Literal["reset", "restored", "updated", "shared"]
    answer: Answer


class Predicted(msgspec.Struct, frozen=True, tag="predicted"):
    """A guess was recorded."""

    name: Sentence
    guess: float
    question: Sentence = ""


class Found(msgspec.Struct, frozen=True, tag="found"):
    """What a prediction was compared with; a guess within the fraction ``within`` of it is a hit."""

    name: Sentence
    value: float
    hit: bool
    within: float = 0.1


class Reviewed(msgspec.Struct, frozen=True, tag="reviewed"):
    """A review question was answered. ``rating`` is 1 (again) to 4 (easy), as in FSRS."""

    card: Annotated[str, msgspec.Meta(max_length=500)]
    rating: Annotated[int, msgspec.Meta(ge=1, le=4)]
    seconds: Annotated[float, msgspec.Meta(ge=0)] = 0.0


What = Checked | Hinted | Revealed | Kept | Predicted | Found | Reviewed


class Entry(msgspec.Struct, frozen=True):
    """One thing that was done, when (milliseconds since 1970) and where."""

    id: Id
    time: Milliseconds
    lesson: Slug
    what: What
    exercise: Name = ""


def new_entry(lesson: str, exercise: str, what: What) -> Entry:
    """Create an entry with the current time."""
    return Entry(new_id(), now_ms(), lesson, what, exercise)


def new_id() -> str:
    """Return a unique id; later ids from the same machine sort after earlier ones."""
    return f"{time.time_ns():016x}{secrets.token_hex(8)}"


def now_ms() -> int:
    """Return the time in milliseconds since 1970."""
    return time.time_ns() // 1_000_000
