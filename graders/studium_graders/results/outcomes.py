"""The outcome of an exercise, derived from the outcomes of its tests."""

from collections.abc import Iterable
from typing import Literal

from studium_graders.engine.material.results import WAITING

ExerciseOutcome = Literal["right", "wrong", "not attempted"]


def outcome_of(tests: Iterable[str]) -> ExerciseOutcome:
    """Return the outcome of an exercise from those of its tests.

    A test that waits for a person counts neither way; an exercise that has only such tests is not right yet.
    """
    outcomes = set(tests)
    if outcomes - {*WAITING} == {"passed"}:
        return "right"
    return "not attempted" if outcomes == {"not attempted"} else "wrong"
