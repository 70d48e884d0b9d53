"""Tests that come from a topic: the exercise's own test function is run, with seeds that nobody has seen."""

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from studium.exercises.model import Exercise, Test
from studium.exercises.sources import seed_of, test_cell

from studium_graders.engine.material.assignment import Cell

_FRAME = re.compile(r"^(### (BEGIN|END) HIDDEN TESTS|# (Hidden test|Test) \(.*)$", re.MULTILINE)
_SECRET_DRAWS = 2


@dataclass(frozen=True)
class ExerciseTest:
    """A test and the exercise that it belongs to."""

    exercise: Exercise
    test: Test


def exercise_test(cell: Cell, exercises: Callable[[str], Mapping[str, Exercise]]) -> ExerciseTest | None:
    """Find the test that a cell was written from, or None where the topic is gone or its test has changed since."""
    if not (cell.topic and cell.exercise and cell.test):
        return None
    try:
        exercise = exercises(cell.topic)[cell.exercise]
        test = next(test for test in exercise.tests if test.name == cell.test)
        same = _bare(test_cell(cell.topic, exercise, test)) == _bare(cell.source)
    except Exception:  # a topic may fail to import in any way; its cells are then tests like any others
        return None
    return ExerciseTest(exercise, test) if same and not exercise.public else None


def _bare(source: str) -> list[str]:
    return [line.rstrip() for line in _FRAME.sub("", source).splitlines() if line.strip()]


def seeds(topic: str, exercise: Exercise, test: Test, secret: bytes) -> list[int]:
    """Return the public seed, and for random data some that follow from the secret of what is judged."""
    public = seed_of(topic, exercise, test)
    if not test.wants_rng:
        return [public]
    key = f"{topic}/{exercise.id}/{test.name}"
    drawn = (hmac.digest(secret, f"{key}/{draw}".encode(), hashlib.sha256) for draw in range(_SECRET_DRAWS))
    return [public, *(int.from_bytes(digest[:4]) for digest in drawn)]
