"""Checks that right answers pass for every random draw and form of the data, and that stubs are not attempted."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from studium.authoring.findings import Finding
from studium.authoring.subject import Subject
from studium.exercises.checking import ExerciseResult, check, run_test
from studium.exercises.definitions import definition
from studium.exercises.model import AnyFunction, Exercise, Test
from studium.exercises.sources import seed_of, solved, stub
from studium.notebooks.setup_cell import setup_source
from studium.topics.topic import Topic

DRAWS = 20


def right_answers(subject: Subject) -> Finding:
    """Check the solution and every other correct answer on 20 draws of the random data."""
    problems = [problem for exercise in subject.exercises for problem in _wrong(subject.topic, exercise)]
    count = sum(1 + len(exercise.alternatives) for exercise in subject.exercises)
    return Finding(problems, f"{count} right answers earn full marks on {DRAWS} draws each")


def _wrong(topic: Topic, exercise: Exercise) -> Iterator[str]:
    for number, function in enumerate((exercise.solution, *exercise.alternatives)):
        what = f"the solution of {exercise.id}" if not number else f"also_correct {number} of {exercise.id}"
        for draw in range(DRAWS):
            result = check(topic.slug, exercise, function, draw=draw)
            if result.outcome != "right":
                yield f"{what} must be right: on draw {draw} {_first_failure(result)}; correct the answer or the test"
                break


def _first_failure(result: ExerciseResult) -> str:
    failing = next((test for test in result.tests if not test.passed), None)
    return f"{failing.name!r} says: {failing.message}" if failing else f"it came out {result.outcome}"


def untouched_stubs(subject: Subject) -> Finding:
    """Check that what the learner starts from earns nothing and counts as not attempted.

    Wrong code that is shown must behave as its mistake does. If it passes some tests, they are named: it earns nothing
    for them, except where nbgrader grades on its own.
    """
    names, topic = solved_names(subject.topic), subject.topic
    problems = [problem for exercise in subject.exercises for problem in _attempted(topic, exercise, names)]
    passing: list[str] = []
    for exercise in subject.exercises if not problems else ():
        if exercise.shown is not None:
            own = _passed(topic, exercise, _started(exercise, names))
            passing += [f"{exercise.id}/{name}" for name in own]
            if own != _passed(topic, exercise, exercise.shown.function):
                problems.append(
                    f"the code that {exercise.id} shows must behave like its mistake {exercise.shows!r}: in a "
                    f"notebook it passes other tests; copy what it calls into it, and do not call the exercise itself"
                )
    said = ["tests that the shown code passes, and that earn points when nbgrader grades on its own:", *passing]
    return Finding(
        problems, "\n".join(["every stub earns nothing and counts as not attempted", *(said if passing else [])])
    )


def _passed(topic: Topic, exercise: Exercise, function: AnyFunction) -> list[str]:
    runs = [run_test(test, function, seed_of(topic.slug, exercise, test)) for test in exercise.tests]
    return [run.test.name for run in runs if run.passed]


def _started(exercise: Exercise, names: dict[str, Any]) -> AnyFunction:
    """Return the function that the learner starts from, in a notebook where all other exercises are solved."""
    unsolved = dict(names)
    exec(stub(exercise), unsolved)  # noqa: S102 - the author's own text
    function: AnyFunction = unsolved[exercise.id]
    return function


def _attempted(topic: Topic, exercise: Exercise, names: dict[str, Any]) -> Iterator[str]:
    result = check(topic.slug, exercise, _started(exercise, names))
    if result.outcome != "not attempted" or result.points:
        passing = [test.name for test in result.tests if test.passed]
        yield (
            f"the stub of {exercise.id} must earn nothing and count as not attempted: it is {result.outcome} with "
            f"{result.points:g} points{f' for {passing[0]!r}' if passing else ''}; make every test call the function"
        )


def solved_names(topic: Topic) -> dict[str, Any]:
    """Return the names defined in a notebook where every exercise is solved."""
    names: dict[str, Any] = {}
    for text in (setup_source(topic, list(topic.exercises)), *map(solved, topic.exercises.values())):
        exec(text, names)  # noqa: S102 - the author's own text
    return names


def robust_answers(subject: Subject) -> Finding:
    """Run the solution in double precision, on non-contiguous tensors and, if there is one, on a GPU."""
    if "torch" not in sys.modules:
        return Finding([], "the exercises use no tensors")
    problems = [problem for exercise in subject.exercises for problem in _fragile(subject.topic, exercise)]
    return Finding(problems, f"the solutions also work {', '.join(name for name, _ in _guises())} and with float64")


def _fragile(topic: Topic, exercise: Exercise) -> Iterator[str]:
    for test in exercise.tests:
        seed = seed_of(topic.slug, exercise, test)
        if not _names_a_dtype(test) and (error := _error_with_float64(test, exercise.solution, seed)):
            yield (
                f"the solution of {exercise.id} must work in double precision too: with float64 as the default, "
                f"{test.name!r} says: {error}; take dtypes from the arguments, or name the dtype in the test"
            )
        for name, guise in _guises():
            if crash := _crash(test, exercise.solution, seed, guise):
                yield f"the solution of {exercise.id} must work {name} too: in {test.name!r} it raises {crash}"


def _names_a_dtype(test: Test) -> bool:
    text = definition(test.function)
    return "float32" in text or ".dtype" in text


def _error_with_float64(test: Test, function: AnyFunction, seed: int) -> BaseException | None:
    with _double_precision():
        return run_test(test, function, seed).error


@contextmanager
def _double_precision() -> Iterator[None]:
    import torch

    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def _crash(test: Test, function: AnyFunction, seed: int, guise: Callable[[Any], Any]) -> str:
    """Return the error that the function raises when its tensors come in another form, or "".

    Whatever a test reports then does not matter: it may look at the very tensor that it made.
    """
    crashes: list[str] = []

    def disguised(*args: Any, **kwargs: Any) -> Any:
        if any(_has_a_device(value) for value in (*args, *kwargs.values())):
            return function(*args, **kwargs)
        try:
            return function(*_mapped(args, guise), **_mapped(kwargs, guise))
        except (RuntimeError, TypeError) as error:
            crashes.append(f"{type(error).__name__}: {str(error).splitlines()[0]}")
            raise

    disguised.__name__ = function.__name__
    if run_test(test, function, seed).passed:
        run_test(test, disguised, seed)
    return crashes[0] if crashes else ""


def _guises() -> list[tuple[str, Callable[[Any], Any]]]:
    import torch

    guises: list[tuple[str, Callable[[Any], Any]]] = [("on tensors that are not contiguous", _strided)]
    if torch.cuda.is_available():
        guises.append(("on CUDA", lambda tensor: tensor.cuda()))
    return guises


def _has_a_device(value: Any) -> bool:
    """Return whether a value stays put while tensors move to a device: a module, or a source of random numbers."""
    import torch

    return isinstance(value, torch.nn.Module | torch.Generator)


def _strided(tensor: Any) -> Any:
    """Return the same values in every second place of a longer storage."""
    import torch

    if not tensor.ndim or tensor.is_sparse:
        return tensor
    return torch.stack((tensor, tensor), dim=-1)[..., 0]


def _mapped(value: Any, guise: Callable[[Any], Any]) -> Any:
    import torch

    if isinstance(value, torch.Tensor) and not isinstance(value, torch.nn.Parameter):
        return guise(value)
    if type(value) in (list, tuple):
        return type(value)(_mapped(item, guise) for item in value)
    return {key: _mapped(item, guise) for key, item in value.items()} if type(value) is dict else value
