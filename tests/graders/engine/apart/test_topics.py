"""Every test of the topics runs apart from the solution, with the words that it was recorded to need and no more."""

from __future__ import annotations

import pytest
from studium.checking import run_test
from studium.errors import ExerciseError
from studium.sources import definition, seed_of

from .forking import Forked
from .topic_answers import cell_of, each_test, judged, run_apart, solutions, topics


def limits_memory(test):
    """Whether a test sets a limit on memory, which here is the judge's own: the supervisor is not part of this."""
    return "at_most_mb" in definition(test.function)


@pytest.mark.sample(3)
@pytest.mark.parametrize("slug", sorted(topics()))
def test_every_topic_test_runs_apart(shell, slug):
    exercises = topics()[slug].exercises
    running = Forked(shell)
    failed, changing = {}, set()
    try:
        student = running.student(solutions(exercises))
        for exercise, test in each_test(exercises):
            name = f"{slug}/{exercise.id}/{test.name}"
            recorded, watched = run_apart(student, slug, exercise, test)
            held, checked = run_apart(student, slug, exercise, test, frozenset(watched.noted))
            if watched.changed_later:
                changing.add(name)
            if not recorded.passed or not held.passed or watched.refusal or checked.refusal or checked.withheld:
                failed[name] = [recorded.error, held.error, watched.refusal, checked.refusal]
    finally:
        running.kill()
    assert failed == {}
    assert changing == set()


@pytest.mark.sample(1)
@pytest.mark.parametrize("slug", sorted(topics()))
def test_answers_are_judged_alike(shell, slug):
    """Each registered mistake and each other right answer ends apart as it does in one process."""
    exercises = topics()[slug].exercises
    running, differing = Forked(shell), {}
    student = running.student(solutions(exercises))
    try:
        for exercise in exercises.values():
            tests = [test for test in exercise.tests if not limits_memory(test)]
            words = {test.name: frozenset(run_apart(student, slug, exercise, test)[1].noted) for test in tests}
            answers = [*(mistake.function for mistake in exercise.misconceptions), *exercise.alternatives]
            for number, answer in enumerate(answers):
                try:
                    cell = cell_of("answer", answer, exercises)
                except ExerciseError:  # it is made of what only its own module has
                    continue
                if ".solution" in cell:  # it asks another exercise for what only the topic has
                    continue
                assert not student.run(cell).error
                for test in tests:
                    apart = judged(student, slug, exercise, test, words[test.name], "answer")
                    beside = run_test(test, answer, seed_of(slug, exercise, test)).passed
                    if apart != ("passed" if beside else "failed"):
                        differing[exercise.id, number, test.name] = apart
    finally:
        running.kill()
    assert differing == {}
