"""Each registered mistake and each other right answer of a topic ends apart as it does in one process.

An answer may also wait for a person: where it gives what the reference does not, such as a layer of its own.
"""

from __future__ import annotations

import pytest
from studium.errors import ExerciseError
from studium.exercises.checking import run_test
from studium.exercises.sources import seed_of

from .forking import Forked
from .topic_answers import cell_of, judged, limited_as_by_the_supervisor, solutions, topics


@pytest.mark.sample(1)
@pytest.mark.parametrize("slug", sorted(topics()))
def test_answers_are_judged_alike(shell, slug):
    exercises = topics()[slug].exercises
    running, differing = Forked(shell), {}
    student = running.student(solutions(exercises))
    try:
        for exercise in exercises.values():
            with limited_as_by_the_supervisor(running.pids[-1]):
                words = {test.name: judged(student, slug, exercise, test).words for test in exercise.tests}
            answers = [*(mistake.function for mistake in exercise.misconceptions), *exercise.alternatives]
            for number, answer in enumerate(answers):
                try:
                    cell = cell_of("answer", answer, exercises)
                except ExerciseError:  # it is made of what only its own module has
                    continue
                if ".solution" in cell:  # it asks another exercise for what only the topic has
                    continue
                assert not student.run(cell).error
                for test in exercise.tests:
                    with limited_as_by_the_supervisor(running.pids[-1]):
                        apart = judged(student, slug, exercise, test, words[test.name], name="answer").result
                    beside = run_test(test, answer, seed_of(slug, exercise, test)).passed
                    if apart.outcome not in ("passed" if beside else "failed", "review"):
                        differing[exercise.id, number, test.name] = (apart.outcome, apart.message)
    finally:
        running.kill()
    assert differing == {}
