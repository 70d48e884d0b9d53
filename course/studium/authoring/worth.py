"""What each hidden test contributes: how many wrong answers it fails, and how many only it fails.

Wrong answers are the misconceptions, the mutants and the versions that break a promise. Each of them has already run
all tests, so this counts; only weak tests run once more, to see whether they look at the values.
"""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from studium.authoring.findings import Worth
from studium.authoring.tolerances import FAR, accepts
from studium.exercises.definitions import definition
from studium.exercises.memory_limit import at_most_mb
from studium.exercises.model import Exercise

if TYPE_CHECKING:
    from studium.authoring.mutant_process import Trial
    from studium.authoring.subject import Subject


def worth_of(subject: "Subject") -> list[Worth]:
    """Return what each hidden test contributes, in the order of the exercises."""
    return [found for exercise in subject.exercises for found in _of(exercise, list(_wrong(subject, exercise)))]


def weaker(found: Iterable[Worth]) -> Iterator[str]:
    """Return a line for each hidden test of which another fails the same wrong answers and more, below a heading."""
    lines = [
        f"{worth.exercise}: {worth.test!r} fails {worth.fails} of {worth.total} wrong answers, and "
        f"{worth.weaker_than!r} fails these and more"
        for worth in found
        if worth.weaker_than
    ]
    if lines:
        yield (
            "hidden tests that contribute nothing, because another test fails the same wrong answers "
            "[standard.md#hidden-tests]:"
        )
    yield from lines


def too_weak(subject: "Subject", found: Iterable[Worth]) -> Iterator[str]:
    """Return advice on weaker tests that do not look at values and fail less than a quarter of the wrong answers."""
    for worth in found:
        if worth.weaker_than and 4 * worth.fails < worth.total and _passes_far_off(subject, worth):
            yield (
                f"the hidden test {worth.test!r} of {worth.exercise} tests too little: it passes results that are off "
                f"by up to {FAR:.0%}, and fails {worth.fails} of {worth.total} wrong answers, which "
                f"{worth.weaker_than!r} fails too; compare the values, or remove it [standard.md#hidden-tests]"
            )


def _passes_far_off(subject: "Subject", worth: Worth) -> bool:
    """Return whether a test passes inexact results, unless it is there to measure the memory."""
    exercise = subject.topic.exercise(worth.exercise)
    test = next(test for test in exercise.tests if test.name == worth.test)
    return at_most_mb.__name__ not in definition(test.function) and bool(accepts(subject.topic, exercise, test, FAR))


def _wrong(subject: "Subject", exercise: Exercise) -> Iterator[tuple[str, list[str]]]:
    """Return the wrong answers to an exercise that fail a test, each with the tests it fails."""
    for trial in subject.trials:
        if trial.exercise == exercise.id and trial.failed:
            yield _label(trial), trial.failed
    for name, tried in subject.versions[exercise.id].items():
        if tried.failed:
            yield f"a version: {name}", list(tried.failed)


def _label(trial: "Trial") -> str:
    return f"line {trial.line}: {trial.changed_line}" if trial.change else f"a misconception: {trial.name}"


def _of(exercise: Exercise, wrong: list[tuple[str, list[str]]]) -> Iterator[Worth]:
    failed_by = {
        test.name: {n for n, (_, failed) in enumerate(wrong) if test.name in failed} for test in exercise.tests
    }
    for test in exercise.tests:
        if test.hidden:
            own = failed_by[test.name]
            alone = [label for label, failed in wrong if failed == [test.name]]
            stronger = next((name for name, theirs in failed_by.items() if own < theirs), "")
            yield Worth(exercise.id, test.name, len(own), len(wrong), alone, stronger)
