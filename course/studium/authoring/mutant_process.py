"""The child of ``mutants``: tries misconceptions and mutants, each in a forked process with a limit on its time.

It is a process of its own because it forks: it has one thread and has never touched a GPU.
"""

import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import Any

import msgspec

from studium.authoring.mutation import Mutant, mutants_of
from studium.catalogue import load_catalogue
from studium.checking import TestRun, run_test
from studium.exercises import AnyFunction, Exercise
from studium.sources import seed_of
from studium.topic import Topic

WORKERS = 2
SAMPLE = 3  # mutants of an exercise's other correct answers, where not the whole of them is asked for
_MEMORY = 4 * 2**30  # bytes that a mutant may take beyond what it starts with


class Trial(msgspec.Struct):
    """A wrong answer and the tests that fail it.

    ``change`` is a mutant's diff, at ``line`` of ``file``; a misconception has neither. ``also`` marks one of
    another correct answer. ``denied`` holds the tests that looked at a result and found it wrong, ``survived`` is
    True where all tests passed.
    """

    exercise: str
    line: int = 0
    change: str = ""
    also: bool = False
    survived: bool = False
    denied: list[str] = []
    equivalent: str = ""
    file: str = "exercises.py"

    @property
    def changed_line(self) -> str:
        """What the change makes of its line, as an author marks it."""
        return changed_line(self.change)


def changed_line(change: str) -> str:
    """Return what a diff makes of its line, without its indentation."""
    return "\n".join(line[1:].strip() for line in change.splitlines() if line.startswith("+"))


class Outcome(msgspec.Struct):
    """What a forked process tells: whether all tests passed, and which found a result wrong."""

    survived: bool
    denied: list[str]


def try_topic(topic: Topic, exercises: list[Exercise], *, whole: bool) -> list[Trial]:
    """Try every wrong answer, two at a time; of other correct answers' mutants a sample, or the ``whole``."""
    tasks = [task for exercise in exercises for task in _tasks(topic, exercise, whole)]
    return list(_run(tasks))


Task = tuple[Trial, float, Callable[[], Outcome]]


def _tasks(topic: Topic, exercise: Exercise, whole: bool) -> Iterator[Task]:
    start = time.perf_counter()
    _judge(topic, exercise, exercise.solution)  # warms up what the forked processes share
    limit = 5 + 20 * (time.perf_counter() - start)
    for misconception in exercise.misconceptions:
        yield Trial(exercise.id), limit, _judging(topic, exercise, partial(_given, misconception.function))
    source, others = exercise.file.read_text("utf-8"), other_mutants(exercise)
    if not whole:
        others = others[:: max(1, len(others) // SAMPLE)][:SAMPLE]
    mutants = [(False, exercise.id, mutant) for mutant in mutants_of(source, exercise.id)]
    for also, name, mutant in (*mutants, *((True, name, mutant) for name, mutant in others)):
        trial = Trial(exercise.id, mutant.line, mutant.change, also, file=exercise.file_name)
        trial.equivalent = exercise.equivalents.get(trial.changed_line, "")
        yield trial, limit, _judging(topic, exercise, partial(_defined, exercise, name, mutant.source))


def other_mutants(exercise: Exercise) -> list[tuple[str, Mutant]]:
    """Return the mutants of the other correct answers that the exercise's file has, each with its function's name."""
    codes = [function.__code__ for function in exercise.alternatives if hasattr(function, "__code__")]
    own = [code for code in codes if code.co_filename == exercise.solution.__code__.co_filename]
    source = exercise.file.read_text("utf-8") if own else ""
    return [(code.co_name, mutant) for code in own for mutant in mutants_of(source, code.co_name, code.co_firstlineno)]


def _judging(topic: Topic, exercise: Exercise, make: Callable[[], AnyFunction]) -> Callable[[], Outcome]:
    def judge() -> Outcome:
        try:
            function = make()
        except Exception:  # a change in a default value, say, may fail at once
            return Outcome(False, [])
        return _judge(topic, exercise, function)

    return judge


def _given(function: AnyFunction) -> AnyFunction:
    return function


def _defined(exercise: Exercise, name: str, text: str) -> AnyFunction:
    names: dict[str, Any] = dict(vars(sys.modules[exercise.solution.__module__]))
    exec(compile(text, "<mutant>", "exec"), names)  # noqa: S102 - the author's own text
    function: AnyFunction = names[name]
    return function


def _judge(topic: Topic, exercise: Exercise, function: AnyFunction) -> Outcome:
    runs = [run_test(test, function, seed_of(topic.slug, exercise, test)) for test in exercise.tests]
    return Outcome(all(run.passed for run in runs), [run.test.name for run in runs if _found_wrong(run)])


def _found_wrong(run: TestRun) -> bool:
    return isinstance(run.error, AssertionError) and not any(call.observed.raised for call in run.calls)


def _run(tasks: list[Task]) -> Iterator[Trial]:
    """Fork a process for each task, at most two at once; end those that take too long."""
    running: dict[Connection, tuple[ForkProcess, Trial, float]] = {}
    while tasks or running:
        while tasks and len(running) < WORKERS:
            trial, limit, judge = tasks.pop(0)
            connection, process = _fork(judge)
            running[connection] = process, trial, time.monotonic() + limit
        soonest = min(deadline for _, _, deadline in running.values())
        ready = wait(list(running), timeout=max(0.0, soonest - time.monotonic()))
        late = [c for c, (_, _, deadline) in running.items() if c not in ready and time.monotonic() >= deadline]
        for connection in [*(c for c in running if c in ready), *late]:
            process, trial, _ = running.pop(connection)
            outcome = _outcome(connection) if connection not in late else Outcome(False, [])
            process.kill()
            process.join()
            yield msgspec.structs.replace(trial, survived=outcome.survived, denied=outcome.denied)


def _fork(judge: Callable[[], Outcome]) -> tuple[Connection, ForkProcess]:
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_tell, args=(judge, theirs))
    process.start()
    theirs.close()
    return ours, process


def _tell(judge: Callable[[], Outcome], connection: Connection) -> None:
    _limit_memory()
    connection.send_bytes(msgspec.json.encode(judge()))
    os._exit(0)  # what a mutant has started ends with it


def _limit_memory() -> None:
    import resource

    used = (
        int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        if sys.platform == "linux"
        else 0
    )
    resource.setrlimit(resource.RLIMIT_AS, (used + _MEMORY, used + _MEMORY))


def _outcome(connection: Connection) -> Outcome:
    """Read what a process told; one that ended without a word has failed."""
    try:
        return msgspec.json.decode(connection.recv_bytes(), type=Outcome)
    except (EOFError, OSError):
        return Outcome(False, [])


def main(slug: str, path: str, whole: str, *names: str) -> None:
    """Try the wrong answers of a topic and write what came of them to the file ``path``."""
    topic = load_catalogue()[slug]
    exercises = [topic.exercise(name) for name in names or topic.exercises]
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)
    Path(path).write_bytes(msgspec.json.encode(try_topic(topic, exercises, whole=whole == "whole")))


if __name__ == "__main__":
    main(*sys.argv[1:])
