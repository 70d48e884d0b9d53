"""Checks that a test is the same for everybody every time: seeded data, and a verdict independent of chance."""

import random
import sys
from collections.abc import Iterator
from typing import Any

from studium.authoring.findings import Finding
from studium.authoring.subject import Subject
from studium.exercises.checking import TestRun, run_test
from studium.exercises.model import Exercise
from studium.exercises.sources import seed_of
from studium.topics.topic import Topic


def repeatability(subject: Subject) -> Finding:
    """Run each test twice with one seed: the solution must be called the same way, and no other random source used."""
    problems = [problem for exercise in subject.exercises for problem in _changing(subject.topic, exercise)]
    advice = [said for exercise in subject.exercises for said in _drawing(subject.topic, exercise)]
    return Finding(problems, "each test does the same thing every time", advice=advice)


def _drawing(topic: Topic, exercise: Exercise) -> Iterator[str]:
    """Find tests that draw from torch's global generator, or seed it, before they call the function."""
    if "torch" not in sys.modules:
        return
    import torch

    for test in exercise.tests:
        seed = seed_of(topic.slug, exercise, test)
        calls = run_test(test, exercise.solution, seed).calls
        untouched = torch.Generator().manual_seed(seed).get_state()
        if calls and not torch.equal(calls[0].random_state, untouched):
            yield (
                f"the test {test.name!r} of {exercise.id} draws from torch's global generator, or seeds it, so it "
                f"always runs with the public seed; take random data, and the weights of new layers, from rng"
            )


def _changing(topic: Topic, exercise: Exercise) -> Iterator[str]:
    for test in exercise.tests:
        what = f"the test {test.name!r} of {exercise.id} must do the same thing every time"
        states, runs = [_global_chance()], list[TestRun]()
        for _ in range(2):
            runs.append(run_test(test, exercise.solution, seed_of(topic.slug, exercise, test)))
            states.append(_global_chance())
        drawn = [name for name, before in states[0].items() if before != states[1][name] != states[2][name]]
        if drawn:
            yield f"{what}: it draws from {drawn[0]}, which is not seeded; take random data from rng"
        elif _outcome(runs[0]) != _outcome(runs[1]):
            said = " and then ".join(map(_outcome, runs))
            yield f"{what}: run twice, it reports {said}; take random data from rng"
        elif not _alike(*runs):
            yield (
                f"{what}: run twice, it passes different data to the function; take random data from rng, and do "
                f"not use the time of day"
            )


def _outcome(run: TestRun) -> str:
    return "nothing" if run.passed else repr(str(run.error))


def _alike(one: TestRun, other: TestRun) -> bool:
    return len(one.calls) == len(other.calls) and all(
        mine.observed.matches(yours.observed) for mine, yours in zip(one.calls, other.calls, strict=True)
    )


def _global_chance() -> dict[str, Any]:
    """Return the states of the generators that a test's seed does not reach."""
    states: dict[str, Any] = {"Python's global generator": random.getstate()}
    if numpy := sys.modules.get("numpy"):
        kind, keys, *rest = numpy.random.get_state()
        states["NumPy's global generator"] = (kind, keys.tobytes(), *rest)
    return states
