"""The errors that a user can meet, and the sentence each one owes them.

StudiumError                     the user can mend it: shown as one sentence, exit code 1
├── TopicError                   a topic package breaks its contract
│   ├── ExerciseError            an exercise, or one of its tests, is not well formed
│   └── LessonError              a lesson names something that is not there
├── UsageError                   the command was given something that is not there: exit code 2
│   └── UnknownNameError         a slug, exercise or format that nobody has
├── NotebookError                a notebook that cannot be read or written
├── StoppedError                 somebody stopped the command, which says what is kept: exit code 130
└── CourseError                  a course.toml or course folder that cannot be used
"""

import difflib
from collections.abc import Iterable

_MOST_NAMES = 30  # names listed in a sentence


class StudiumError(Exception):
    """One lowercase sentence: what was needed, what came, what to do next."""


class TopicError(StudiumError):
    """A topic package breaks its contract."""


class ExerciseError(TopicError):
    """An exercise, or one of its tests, is not well formed."""


class LessonError(TopicError):
    """A lesson names something that does not exist."""


class NotebookError(StudiumError):
    """A notebook that cannot be read or written."""


class CourseError(StudiumError):
    """A course.toml or course folder that cannot be used."""


class StoppedError(StudiumError):
    """Somebody stopped the command; the sentence tells what is kept and how to continue."""


class UsageError(StudiumError):
    """The command was given something that does not exist."""


class UnknownNameError(UsageError):
    """An unknown name, answered with the nearest known one."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        known = sorted(known)
        super().__init__(f"unknown {kind} {name!r}; {suggestion(name, known)}")


def continued(text: str) -> str:
    """Return somebody else's message as the end of a sentence of ours: begun small, but for a word such as JSON."""
    return text if text[:2].isupper() else text[:1].lower() + text[1:]


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return "did you mean …?" if a known name is close, or else a list of them, shortened for a whole class."""
    known = list(known)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]!r}?"
    more = f" and {len(known) - _MOST_NAMES} more" if len(known) > _MOST_NAMES else ""
    return f"there is {', '.join(known[:_MOST_NAMES])}{more}" if known else "there is none at all"
