"""Studium: the course host. It discovers topics, compiles their lessons and checks exercises.

A topic package may use exactly what this module exports; everything else is private to the host. Names are imported on
first use, so ``import studium`` costs a few milliseconds and never loads torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

import pluggy

from studium.exercises.late_grammar import put_off

if TYPE_CHECKING:
    from studium.errors import StudiumError as StudiumError
    from studium.exercises.changed_arguments import keeps_arguments as keeps_arguments
    from studium.exercises.comparison import assert_close as assert_close
    from studium.exercises.gradients import assert_gradients as assert_gradients
    from studium.exercises.memory_limit import at_most_mb as at_most_mb
    from studium.exercises.model import Exercise as Exercise
    from studium.exercises.model import exercise as exercise
    from studium.experiments.progress import track as track
    from studium.experiments.table import show_table as show_table
    from studium.lesson import Lesson as Lesson
    from studium.lesson import open_lesson as open_lesson
    from studium.topics.claims import Claim as Claim
    from studium.topics.profiles import Profile as Profile
    from studium.topics.published import Published as Published
    from studium.topics.topic import Paper as Paper
    from studium.topics.topic import Topic as Topic

__version__ = "0.1.0"

hookimpl = pluggy.HookimplMarker("studium")
"""Mark a function as one of Studium's hooks; the function is named ``studium_<hook>``."""

_HOMES = {
    "Claim": "topics.claims",
    "Exercise": "exercises.model",
    "Lesson": "lesson",
    "Paper": "topics.topic",
    "Profile": "topics.profiles",
    "Published": "topics.published",
    "StudiumError": "errors",
    "Topic": "topics.topic",
    "assert_close": "exercises.comparison",
    "assert_gradients": "exercises.gradients",
    "at_most_mb": "exercises.memory_limit",
    "exercise": "exercises.model",
    "keeps_arguments": "exercises.changed_arguments",
    "open_lesson": "lesson",
    "show_table": "experiments.table",
    "track": "experiments.progress",
}

__all__ = [
    "Claim",
    "Exercise",
    "Lesson",
    "Paper",
    "Profile",
    "Published",
    "StudiumError",
    "Topic",
    "assert_close",
    "assert_gradients",
    "at_most_mb",
    "exercise",
    "hookimpl",
    "keeps_arguments",
    "open_lesson",
    "show_table",
    "track",
]


put_off()


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'studium' has no attribute {name!r}")
    return getattr(import_module(f"studium.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
