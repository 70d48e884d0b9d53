"""Checking an answer: three outcomes, and the mistake by its name.

An exercise is *not attempted* while its function is missing or still what the learner started from, *right* when every
test passes, and *wrong* otherwise. A mistake is named where one registered wrong answer explains the failed tests; of
an answer without a name, one sentence is said that is true of it.
"""

import dis
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from types import CodeType, FunctionType
from typing import Any, Literal

import msgspec

from studium.exercises.changed_arguments import keeping
from studium.exercises.comparison import DifferenceError
from studium.exercises.explaining.budget import SECONDS, Budget
from studium.exercises.explaining.evidence import Told
from studium.exercises.explaining.failed_test import explain
from studium.exercises.explaining.sentences import explained
from studium.exercises.model import AnyFunction, Exercise, Test
from studium.exercises.naming import agreed, contradicts, reproduced
from studium.exercises.observation import Call, Observation, Recorder
from studium.exercises.sources import seed_of, stub
from studium.exercises.starting_code import is_same_code
from studium.exercises.unwritten import called_exercises, is_unwritten, with_solutions

Outcome = Literal["right", "wrong", "not attempted"]


class TestResult(msgspec.Struct, frozen=True):
    """One test: the points earned, and one sentence where it failed."""

    name: str
    passed: bool
    points: float
    message: str = ""


class ExerciseResult(msgspec.Struct, frozen=True):
    """One exercise: its outcome and its tests.

    Where a mistake was recognised, ``mistake_id`` names the misconception and ``mistake_in`` the test that it failed;
    ``among`` others, where it does not explain every failed test. Otherwise ``said`` is a sentence that is true of the
    answer, and ``said_kind`` what it is about, such as "relation". ``smallest`` is the smallest call
    that goes wrong.
    ``differs``: arrays were compared and differ, so that there is a difference to look at. ``tested`` is false where
    no test ran, because the cell fails, say; then the message of each test says why.
    """

    id: str
    outcome: Outcome
    points: float
    max_points: float
    tests: list[TestResult]
    mistake_id: str = ""
    mistake_in: str = ""
    differs: bool = False
    tested: bool = True
    among: bool = False
    said: str = ""
    said_kind: str = ""
    smallest: str = ""


class ShownResult(ExerciseResult, frozen=True):
    """A result with the sentence about its mistake: the named one's, as the topic words it now, or what was said."""

    mistake: str = ""


@dataclass(frozen=True)
class TestRun:
    """One test run against one function: the error that ended it (None where it passed) and the calls it made."""

    test: Test
    function: AnyFunction
    error: BaseException | None
    calls: list[Call]

    @property
    def passed(self) -> bool:
        """Whether the test ran to its end."""
        return self.error is None

    @property
    def not_implemented(self) -> bool:
        """Whether the function itself said that it is not written yet."""
        return is_unwritten(self.error, self.function)


def check(
    topic: str,
    exercise: Exercise,
    function: object,
    *,
    draw: int = 0,
    beside: Mapping[str, Exercise] | None = None,
    seconds: float = SECONDS,
) -> ExerciseResult:
    """Run all tests of an exercise against ``function``, in this process.

    ``draw`` chooses another set of random test data. ``beside`` holds the topic's exercises by name: where an answer
    fails only because it calls one of them that is not right, the messages say so. ``seconds`` is how long explaining a
    wrong answer may take. Raises nothing that the learner's code raises.
    """
    return examine(topic, exercise, function, draw=draw, beside=beside, seconds=seconds)[0]


def examine(
    topic: str,
    exercise: Exercise,
    function: object,
    *,
    draw: int = 0,
    beside: Mapping[str, Exercise] | None = None,
    seconds: float = SECONDS,
) -> tuple[ExerciseResult, list[TestRun]]:
    """Return what ``check`` returns, and the runs behind it: none for an answer that was not attempted."""
    if not callable(function) or is_blank(function) or _is_as_given(exercise, function):
        return untouched(exercise), []
    runs = _runs(topic, exercise, function, draw)
    if all(run.not_implemented for run in runs):
        return untouched(exercise), []
    result = _judged(topic, exercise, runs, seconds)
    if beside and result.outcome == "wrong" and (blame := _blame(topic, exercise, function, beside, draw)):
        tests = [test if test.passed else msgspec.structs.replace(test, message=blame) for test in result.tests]
        result = msgspec.structs.replace(result, tests=tests, mistake_id="", mistake_in="", said="", smallest="")
    return result, runs


def first_difference(runs: Iterable[TestRun]) -> DifferenceError | None:
    """Return the error of the first run in which arrays differed, None where none did."""
    errors = (run.error for run in runs)
    return next((error for error in errors if isinstance(error, DifferenceError) and error.pair), None)


def _runs(topic: str, exercise: Exercise, function: AnyFunction, draw: int) -> list[TestRun]:
    return [run_test(test, function, seed_of(topic, exercise, test) + draw) for test in exercise.tests]


def _judged(topic: str, exercise: Exercise, runs: list[TestRun], seconds: float) -> ExerciseResult:
    result = ExerciseResult(
        exercise.id,
        "right" if all(run.passed for run in runs) else "wrong",
        sum(run.test.points for run in runs if run.passed),
        exercise.max_points,
        [_result(exercise, run) for run in runs],
        differs=first_difference(runs) is not None,
    )
    if result.outcome == "right":
        return result
    tests = [Told(run.test.name, run.test.hidden, run.error, run.calls) for run in runs]
    possible = {run.test.name: reproduced(topic, exercise, run.calls) for run in runs if not run.passed}
    found = explained(exercise, tests, runs[0].function, Budget(seconds))
    mistake, among = agreed(list(possible.values()), partial(_contradicted, exercise, found.right))
    return msgspec.structs.replace(
        result,
        mistake_id=mistake,
        mistake_in=next((test for test, names in possible.items() if names and mistake in names), ""),
        among=among,
        said="" if mistake else found.sentence,
        said_kind="" if mistake else found.kind,
        smallest=found.smallest,
    )


def _contradicted(exercise: Exercise, calls: list[tuple[Call, Observation]], mistake: str) -> bool:
    name = mistake.rpartition(":")[2]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return any(known.name == name and contradicts(known, calls) for known in exercise.misconceptions)


def _blame(topic: str, exercise: Exercise, function: AnyFunction, beside: Mapping[str, Exercise], draw: int) -> str:
    """Say which other exercise is to blame for a wrong answer: with its solution in its place the answer is right."""
    called = {name: beside[name] for name in called_exercises(function, beside)}
    if exercise.public or not called or not isinstance(function, FunctionType):
        return ""
    given = function.__globals__
    states = {name: check(topic, other, given.get(name), seconds=0).outcome for name, other in called.items()}
    name = next((name for name, outcome in states.items() if outcome != "right"), "")
    if not name or not all(run.passed for run in _runs(topic, exercise, with_solutions(function, called), draw)):
        return ""
    if states[name] == "not attempted":
        return f"{exercise.id} is right, but it calls {name}, which is not written yet; write {name} first"
    return f"{exercise.id} is right, but it calls {name}, which is not right yet; correct {name} first"


def untouched(exercise: Exercise) -> ExerciseResult:
    """Return the result of an exercise that nobody has begun."""
    tests = [TestResult(test.name, False, 0.0, "not attempted yet") for test in exercise.tests]
    return ExerciseResult(exercise.id, "not attempted", 0.0, exercise.max_points, tests)


def failed(exercise: Exercise, message: str) -> ExerciseResult:
    """Return the result of an answer that could not be tested at all, for the reason in ``message``."""
    return untested(exercise.id, exercise.max_points, [test.name for test in exercise.tests], message)


def untested(name: str, max_points: float, tests: list[str], message: str) -> ExerciseResult:
    """Return the same of an exercise that is known by name and ``tests`` alone."""
    rows = [TestResult(test, False, 0.0, message) for test in tests]
    return ExerciseResult(name, "wrong", 0.0, max_points, rows, tested=False)


def shown_failure(result: ExerciseResult) -> TestResult | None:
    """Return the failed test of a wrong answer that is to be shown, or None.

    It is the first, but where a mistake was recognised in a later one, that: an answer may have two mistakes.
    """
    failures = [test for test in result.tests if not test.passed] if result.outcome == "wrong" else []
    return next((test for test in failures if test.name == result.mistake_in), failures[0] if failures else None)


def common_cause(result: ExerciseResult) -> str:
    """Return why no test of a wrong answer passed, where that is the same for each of several, or none ran; else ""."""
    messages = {test.message for test in result.tests}
    alone = len(result.tests) == 1 and result.tested  # its name says more
    return "" if result.outcome != "wrong" or result.differs or alone or len(messages) != 1 else messages.pop()


def with_sentence(result: ExerciseResult, mistake: str) -> ShownResult:
    """Return a result as it is shown, with the sentence of its mistake ("" for none), or what else is true of it."""
    said = "" if result.said_kind == "error" and common_cause(result) else result.said
    return ShownResult(**msgspec.structs.asdict(result), mistake=told(mistake, said, among=result.among))


def told(mistake: str, said: str, *, among: bool) -> str:
    """Return the one sentence that an answer hears, of a named mistake and what else is true ("" for neither)."""
    return f"Among other things: {mistake}" if mistake and among else mistake or said


def is_blank(function: Callable[..., Any]) -> bool:
    """Return whether a function has no body but a docstring, ``pass`` or ``...``."""
    code = getattr(function, "__code__", None)
    if not isinstance(code, CodeType):
        return False
    steps = [step for step in dis.get_instructions(code) if step.opname not in ("RESUME", "NOP", "LOAD_CONST")]
    consts = set(code.co_consts) - {None, function.__doc__, ...}
    return not consts and [step.opname for step in steps] in (["RETURN_VALUE"], ["RETURN_CONST"])


def _is_as_given(exercise: Exercise, function: AnyFunction) -> bool:
    """Return whether an answer is still the wrong code that its cell started with, whatever tests that passes."""
    return bool(exercise.shows) and is_same_code(function, stub(exercise))


def run_test(test: Test, function: AnyFunction, seed: int) -> TestRun:
    """Run one test against ``function``, in this process, with the random data of ``seed``.

    Raises nothing that the function raises, but KeyboardInterrupt.
    """
    recorder = Recorder(function)
    error = _error_of(test, recorder.wrapped(), seed)
    return TestRun(test, function, error, recorder.calls)


def _result(exercise: Exercise, run: TestRun) -> TestResult:
    message = "" if run.error is None else explain(exercise, run.error, run.calls, run.function)
    return TestResult(run.test.name, run.passed, run.test.points if run.passed else 0.0, message)


def _error_of(test: Test, function: AnyFunction, seed: int) -> BaseException | None:
    given = function if test.mutates_args is None else keeping(function, *test.signature, test.mutates_args)
    with _random_data(test, seed) as arguments, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a warning is no mistake
        try:
            test.function(given, **arguments)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # an answer may call exit()
            return error
    return None


@contextmanager
def _random_data(test: Test, seed: int) -> Iterator[dict[str, Any]]:
    """Return ``rng`` where the test wants it, and leave torch's own random numbers as they were."""
    if not test.wants_rng and "torch" not in sys.modules:
        yield {}
        return
    import torch  # a topic without tensors must not wait for it

    with torch.random.fork_rng(devices=[]):
        if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
            torch.manual_seed(seed)
        else:  # torch.manual_seed keeps a traceback for each kind of device that is not in use, which takes 2 ms
            torch.default_generator.manual_seed(seed)
        yield {"rng": torch.Generator().manual_seed(seed)} if test.wants_rng else {}
