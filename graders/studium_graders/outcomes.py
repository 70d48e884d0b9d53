"""What became of an exercise, by what became of its tests."""

from collections.abc import Iterable
from typing import Literal

ExerciseOutcome = Literal["right", "wrong", "not attempted"]


def outcome_of(tests: Iterable[str]) -> ExerciseOutcome:
    """Return the outcome of an exercise; ``tests`` are the outcomes of its tests. Those marked by hand do not count."""
    outcomes = set(tests) - {"manual"}
    if outcomes <= {"passed"}:
        return "right"
    return "not attempted" if outcomes == {"not attempted"} else "wrong"
