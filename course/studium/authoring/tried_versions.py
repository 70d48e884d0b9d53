"""What the tests report about versions of a solution that break a promise."""

import inspect
from dataclasses import dataclass

from studium.authoring.versions import (
    Spoiler,
    Tracked,
    Version,
    edges_exchanged,
    in_a_tuple,
    results_as,
    reversed_order,
)
from studium.exercises.checking import run_test
from studium.exercises.model import AnyFunction, Exercise
from studium.exercises.sources import seed_of
from studium.topics.topic import Topic

EXCHANGED = "0 and NaN exchanged"


@dataclass(frozen=True)
class Tried:
    """How many tests a version of an exercise passes, out of those in which it differs from the solution.

    ``failed`` names the tests that it does not pass.
    """

    passed: int
    tests: int
    failed: tuple[str, ...] = ()

    @property
    def survives(self) -> bool:
        """Whether every test misses it."""
        return self.tests > 0 and self.passed == self.tests


def try_versions(topic: Topic, exercise: Exercise) -> dict[str, Tried]:
    """Run the tests on each version of a solution that differs from it somewhere."""
    if inspect.isclass(exercise.solution):
        return {}
    others = {"in a tuple": in_a_tuple, "back to front": reversed_order, EXCHANGED: edges_exchanged}
    makers: dict[str, Version | Spoiler] = {
        name: (Tracked if name == "no_grad" else Version)(exercise.solution, how)
        for name, how in {**results_as(), **others}.items()
    }
    for position, name in enumerate(inspect.signature(exercise.solution).parameters):
        makers[f"changes {name}"] = Spoiler(exercise.solution, name, position)
    tried = {name: _try(topic, exercise, version) for name, version in makers.items()}
    return {name: found for name, found in tried.items() if found.tests}


def _try(topic: Topic, exercise: Exercise, version: Version | Spoiler) -> Tried:
    tests, failed = 0, []
    for test in exercise.tests:
        version.applied = False
        run = run_test(test, _as_function(version, exercise), seed_of(topic.slug, exercise, test))
        if version.applied:
            tests += 1
            failed += [] if run.passed else [test.name]
    return Tried(tests - len(failed), tests, tuple(failed))


def _as_function(version: Version | Spoiler, exercise: Exercise) -> AnyFunction:
    def answer(*args: object, **kwargs: object) -> object:
        return version(*args, **kwargs)

    answer.__name__ = exercise.id
    return answer
