"""The solutions of a topic as cells of a student, and its tests."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from studium.catalogue import load_catalogue
from studium.checking import TestRun, run_test
from studium.exercises import Exercise, Test
from studium.sources import definition, imports_used, seed_of
from studium_graders.engine.apart.judge_side.permissions import Watch, Words
from studium_graders.engine.apart.judge_side.student import Student


def topics() -> dict[str, Any]:
    return {topic.slug: topic for topic in load_catalogue().topics}


def cell_of(name: str, function: Any, known: dict[str, Exercise]) -> str:
    """An answer as a student writes it: its imports, and the function under ``name``."""
    written = re.sub(r"^def \w+\(", f"def {name}(", definition(function), count=1, flags=re.MULTILINE)
    return "\n".join([*imports_used(function, known, f"an answer to {name}"), "", "", written])


def solutions(exercises: dict[str, Exercise]) -> str:
    return "\n\n".join(cell_of(other.id, other.solution, exercises) for other in exercises.values())


def each_test(exercises: dict[str, Exercise]) -> Iterator[tuple[Exercise, Test]]:
    for exercise in exercises.values():
        for test in exercise.tests:
            yield exercise, test


def run_apart(
    student: Student,
    topic: str,
    exercise: Exercise,
    test: Test,
    words: Words | None = None,
    *,
    applied: bool = False,
    name: str = "",
) -> tuple[TestRun, Watch]:
    """Run a test of a topic against what the student has under the exercise's name."""
    with student.test(words, applied=applied) as watch:
        run = run_test(test, student.get(name or exercise.id), seed_of(topic, exercise, test))
    return run, watch


def judged(student: Student, topic: str, exercise: Exercise, test: Test, words: Words, name: str) -> str:
    """How a test of a topic ends apart: what passes with changes withheld must pass with these applied, too."""
    run, watched = run_apart(student, topic, exercise, test, words, name=name)
    if run.passed and watched.withheld and not watched.refusal:
        run, watched = run_apart(student, topic, exercise, test, words, applied=True, name=name)
    if watched.refusal:
        return "review"
    return "passed" if run.passed else "failed"
