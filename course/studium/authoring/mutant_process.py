"""The child process of ``mutants``: tries misconceptions and mutants, each in a forked process with a time limit.

It is a separate process because it forks: it has a single thread and has never touched a GPU.
"""

import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import msgspec

from studium.catalogue.catalogue import load_catalogue
from studium.exercises.checking import TestRun, run_test
from studium.exercises.memory_limit import TooMuchMemoryError
from studium.exercises.model import AnyFunction, Exercise
from studium.exercises.mutation import Mutant, mutants_of
from studium.exercises.sources import seed_of
from studium.topics.topic import Topic
from studium.workers.forks import one_thread, run_forked
from studium.workers.job import Tell

DRAWS = (1, 2)  # of the random data, besides the learner's own, in which a change of a border has to fail, too
SAMPLE = 3  # how many mutants of an exercise's other correct answers to try, unless all of them are requested


class Trial(msgspec.Struct):
    """A wrong answer and the tests that it fails.

    ``change`` is a mutant's diff, at ``line`` of ``file``; a misconception has a ``name`` instead. ``also`` marks a
    mutant of another correct answer. ``failed`` lists the tests that did not pass, ``denied`` those that looked at a
    result and found it wrong; both are empty for an answer that was stopped. ``survived`` is True if all tests passed.
    ``passes`` is another draw of the random data in which all tests pass a change of a border, 0 if there is none.
    """

    exercise: str
    line: int = 0
    change: str = ""
    also: bool = False
    survived: bool = False
    denied: list[str] = []
    equivalent: str = ""
    failed: list[str] = []
    name: str = ""
    file: str = "exercises.py"
    passes: int = 0

    @property
    def changed_line(self) -> str:
        """The line as it reads after the change, the way an author marks it."""
        return changed_line(self.change)


def changed_line(change: str) -> str:
    """Return the changed line from a diff, without its indentation."""
    return "\n".join(line[1:].strip() for line in change.splitlines() if line.startswith("+"))


class Outcome(msgspec.Struct):
    """What a forked process reports: whether all tests passed, which found a result wrong, and which did not pass.

    ``passes`` is as in Trial.
    """

    survived: bool
    denied: list[str] = []
    failed: list[str] = []
    passes: int = 0


_outcomes = msgspec.msgpack.Decoder(Outcome)


def try_topic(topic: Topic, exercises: list[Exercise], *, whole: bool) -> list[Trial]:
    """Try every wrong answer, two at a time; of other correct answers' mutants a sample, or all if ``whole``."""
    tasks = [task for exercise in exercises for task in _tasks(topic, exercise, whole)]
    return [_told(trial, outcome) for trial, outcome in run_forked(tasks, _outcomes)]


def _told(trial: Trial, outcome: Outcome | None) -> Trial:
    """Complete a trial; a process that ended without a report, or ran out of time, has failed a test."""
    return msgspec.structs.replace(trial, **msgspec.structs.asdict(outcome or Outcome(False)))


Task = tuple[Trial, float, Callable[[], Outcome]]


def _tasks(topic: Topic, exercise: Exercise, whole: bool) -> Iterator[Task]:
    start = time.perf_counter()
    _judge(topic, exercise, exercise.solution)  # warms up what the forked processes share
    limit = 5 + 20 * (time.perf_counter() - start)
    for misconception in exercise.misconceptions:
        trial = Trial(exercise.id, name=misconception.name)
        yield trial, limit, _judging(topic, exercise, partial(_given, misconception.function))
    source, others = exercise.file.read_text("utf-8"), other_mutants(exercise)
    if not whole:
        others = others[:: max(1, len(others) // SAMPLE)][:SAMPLE]
    mutants = [(False, exercise.id, mutant) for mutant in mutants_of(source, exercise.id)]
    for also, name, mutant in (*mutants, *((True, name, mutant) for name, mutant in others)):
        trial = Trial(exercise.id, mutant.line, mutant.change, also, file=exercise.file_name)
        trial.equivalent = exercise.equivalents.get(trial.changed_line, "")
        border = mutant.border and not also and not trial.equivalent
        yield trial, limit, _judging(topic, exercise, partial(_defined, exercise, name, mutant.source), border)


def other_mutants(exercise: Exercise) -> list[tuple[str, Mutant]]:
    """Return the mutants of the other correct answers in the exercise's file, each with its function's name."""
    codes = [function.__code__ for function in exercise.alternatives if hasattr(function, "__code__")]
    own = [code for code in codes if code.co_filename == exercise.solution.__code__.co_filename]
    source = exercise.file.read_text("utf-8") if own else ""
    return [(code.co_name, mutant) for code in own for mutant in mutants_of(source, code.co_name, code.co_firstlineno)]


def _judging(
    topic: Topic, exercise: Exercise, make: Callable[[], AnyFunction], border: bool = False
) -> Callable[[], Outcome]:
    def judge() -> Outcome:
        try:
            function = make()
        except Exception:  # a change in a default value, say, may fail at once
            return Outcome(False)
        outcome = _judge(topic, exercise, function)
        if border and outcome.failed:
            outcome.passes = _lucky_draw(topic, exercise, function, outcome.failed)
        return outcome

    return judge


def _lucky_draw(topic: Topic, exercise: Exercise, function: AnyFunction, failed: list[str]) -> int:
    """Return the first of the other draws in which no test fails a function, 0 where a test fails it in each."""
    if any(test.name in failed and not test.wants_rng for test in exercise.tests):
        return 0
    tests = sorted((test for test in exercise.tests if test.wants_rng), key=lambda test: test.name not in failed)
    seeds = {test.name: seed_of(topic.slug, exercise, test) for test in tests}
    passes = (d for d in DRAWS if all(run_test(test, function, seeds[test.name] + d).passed for test in tests))
    return next(passes, 0)


def _given(function: AnyFunction) -> AnyFunction:
    return function


def _defined(exercise: Exercise, name: str, text: str) -> AnyFunction:
    names: dict[str, Any] = dict(vars(sys.modules[exercise.solution.__module__]))
    exec(compile(text, "<mutant>", "exec"), names)  # noqa: S102 - the author's own text
    function: AnyFunction = names[name]
    return function


def _judge(topic: Topic, exercise: Exercise, function: AnyFunction) -> Outcome:
    runs = [run_test(test, function, seed_of(topic.slug, exercise, test)) for test in exercise.tests]
    failed = [run.test.name for run in runs if not run.passed]
    return Outcome(not failed, [run.test.name for run in runs if _found_wrong(run)], failed)


def _found_wrong(run: TestRun) -> bool:
    """Return whether a test looked at what an answer did, and refused it; an answer that crashes proves nothing."""
    crashed = any(call.observed.raised for call in run.calls) and not isinstance(run.error, TooMuchMemoryError)
    return isinstance(run.error, AssertionError) and not crashed


def work(slug: str, names: tuple[str, ...], whole: bool, tell: Tell) -> None:
    """Tell the trial of each wrong answer of a topic."""
    topic = load_catalogue()[slug]
    exercises = [topic.exercise(name) for name in names or topic.exercises]
    one_thread()
    for trial in try_topic(topic, exercises, whole=whole):
        tell(trial)
