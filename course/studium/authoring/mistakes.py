"""Checks that wrong answers fail and get their own messages, that tests can fail, and that test cells work alone."""

import contextlib
import io
import warnings
from collections import Counter
from collections.abc import Iterator
from typing import Any

from studium.authoring.answers import solved_names
from studium.authoring.findings import Finding
from studium.authoring.first_cases import degenerate_cases
from studium.authoring.subject import Subject
from studium.exercises.checking import check
from studium.exercises.explaining.requirement import should
from studium.exercises.model import Exercise, mistake_id
from studium.exercises.sources import test_cell
from studium.topics.topic import Topic


def misconceptions(subject: Subject) -> Finding:
    """Check that each misconception fails a test and gets its own message."""
    problems = [problem for exercise in subject.exercises for problem in _misunderstood(subject.topic, exercise)]
    count = sum(len(exercise.misconceptions) for exercise in subject.exercises)
    advice = [said for exercise in subject.exercises for said in degenerate_cases(subject.topic, exercise)]
    return Finding(problems, f"{count} misconceptions fail, and each gets its own message", advice=advice)


def _misunderstood(topic: Topic, exercise: Exercise) -> Iterator[str]:
    messages = Counter(misconception.message for misconception in exercise.misconceptions)
    for message, times in messages.items():
        if times > 1:
            yield f"each misconception of {exercise.id} needs its own message: {message!r} appears {times} times"
    for misconception in exercise.misconceptions:
        what = f"the misconception {misconception.message!r} of {exercise.id}"
        result = check(topic.slug, exercise, misconception.function)
        if result.outcome == "right":
            yield (
                f"{what} must fail a test: it passes all of them; write a hidden test that tells it apart from the "
                f"solution"
            )
        elif result.mistake_id != mistake_id(topic.slug, exercise.id, misconception.name):
            sentence = exercise.sentence_of(result.mistake_id)
            heard = f"it gets {sentence!r}" if sentence else "it is not recognised"
            yield f"{what} must get its own message: {heard}; choose test data on which the two differ"


def failing_tests(subject: Subject) -> Finding:
    """Check that each test is failed by a misconception or a mutant that gave a result instead of crashing."""
    proven: dict[str, set[str]] = {exercise.id: set() for exercise in subject.exercises}
    for trial in subject.trials:
        proven[trial.exercise] |= set(trial.denied)
    problems = [
        f"the test {test.name!r} of {exercise.id} must be able to fail: every misconception and every mutant of the "
        f"solution passes it; compare what the function returns with what it should return"
        for exercise in subject.exercises
        for test in exercise.tests
        if test.name not in proven[exercise.id]
    ]
    return Finding(
        problems, f"each of {sum(len(e.tests) for e in subject.exercises)} tests fails at least one wrong answer"
    )


def test_cells(subject: Subject) -> Finding:
    """Run each test as the cell that is handed out: it must need nothing else, print nothing and warn about nothing."""
    names = solved_names(subject.topic)
    with _repeated_warnings():
        problems = [problem for exercise in subject.exercises for problem in _untidy(subject.topic, exercise, names)]
    advice = [said for exercise in subject.exercises for said in _untitled(exercise)]
    return Finding(problems, "each test runs as a separate cell without output", advice=advice)


def _untitled(exercise: Exercise) -> Iterator[str]:
    """Say which titles of tests make no requirement, "the function should …"."""
    for test in exercise.tests:
        if not should(test.name):
            yield (
                f"the title of the test {test.name!r} of {exercise.id} should begin with a verb, such as 'keeps', or "
                "with 'should': learners read it as what is asked; reword it [standard.md#titles-of-tests]"
            )


@contextlib.contextmanager
def _repeated_warnings() -> Iterator[None]:
    """Let torch repeat a warning every time; once per process would depend on which test runs first."""
    import torch

    before = torch.is_warn_always_enabled()
    torch.set_warn_always(True)
    try:
        yield
    finally:
        torch.set_warn_always(before)


def _untidy(topic: Topic, exercise: Exercise, names: dict[str, Any]) -> Iterator[str]:
    for test in exercise.tests:
        code = compile(test_cell(topic.slug, exercise, test), test.name, "exec")
        said = io.StringIO()
        with (
            contextlib.redirect_stdout(said),
            contextlib.redirect_stderr(said),
            warnings.catch_warnings(record=True) as w,
        ):
            warnings.simplefilter("always")
            try:
                exec(code, dict(names))  # noqa: S102 - the author's own text
            except Exception as error:
                yield f"the test {test.name!r} of {exercise.id} must run as a cell: {type(error).__name__}: {error}"
        if w or said.getvalue():
            heard = str(w[0].message) if w else said.getvalue().strip()
            yield f"the test {test.name!r} of {exercise.id} must print nothing when it passes: got {heard[:100]!r}"
