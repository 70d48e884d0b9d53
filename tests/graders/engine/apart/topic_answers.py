"""The solutions of a topic as cells of a student, and its tests."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from unittest import mock

from studium.catalogue.catalogue import load_catalogue
from studium.exercises import memory_limit
from studium.exercises.definitions import definition
from studium.exercises.model import Exercise, Test
from studium.exercises.sources import imports_used, seed_of
from studium_graders.engine.judge.canonical_text import CanonicalText
from studium_graders.engine.judge.exercise_tests import ExerciseTest
from studium_graders.engine.judge.judging import Judgement, judge
from studium_graders.engine.judge.topic_test import TopicTest
from studium_graders.engine.judge_side.permissions import Words
from studium_graders.engine.judge_side.student import Student
from studium_graders.engine.material.assignment import Cell, NotebookMaterial
from studium_graders.engine.sandbox.resource_limits import limit_data_of

NOTEBOOK = NotebookMaterial("book", (), b"{}")


def topics() -> dict[str, Any]:
    return {topic.slug: topic for topic in load_catalogue().topics}


def cell_of(name: str, function: Any, known: dict[str, Exercise]) -> str:
    """An answer as a student writes it: its imports, and the function under ``name``."""
    written = re.sub(r"^def \w+\(", f"def {name}(", definition(function), count=1, flags=re.MULTILINE)
    return "\n".join([*imports_used(function, known, f"an answer to {name}"), "", "", written])


def solutions(exercises: dict[str, Exercise]) -> str:
    return "\n\n".join(cell_of(other.id, other.solution, exercises) for other in exercises.values())


def judged(
    student: Student, topic: str, exercise: Exercise, test: Test, words: Words | None = None, *, name: str = ""
) -> Judgement:
    """What the judge says of a test, with the data that it has in public, of what the student has under a name."""
    name = name or exercise.id
    cell = Cell("cell", "test", "", "cell", test.points, graded=True, topic=topic, exercise=name, test=test.name)
    seeds = (seed_of(topic, exercise, test),)
    prepared = TopicTest(NOTEBOOK, cell, ExerciseTest(exercise, test), name, seeds, words)
    return judge(prepared, student, CanonicalText())


@contextmanager
def limited_as_by_the_supervisor(pid: int) -> Iterator[None]:
    """Let ``at_most_mb`` limit the student's process."""

    @contextmanager
    def limited(pid: int, megabytes: float) -> Iterator[None]:
        limit_data_of([pid], megabytes)
        yield
        limit_data_of([pid], None)

    with mock.patch.object(memory_limit, "_limiter", partial(limited, pid)):
        yield
