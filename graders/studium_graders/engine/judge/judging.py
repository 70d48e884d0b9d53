"""Judging one test of a topic: what it earns, what is said of it, and which registered mistake explains it."""

from dataclasses import dataclass, field

import msgspec
from studium.exercises.changed_arguments import changed_argument
from studium.exercises.checking import TestRun
from studium.exercises.explaining.budget import Budget
from studium.exercises.explaining.evidence import Told
from studium.exercises.explaining.sentences import explained
from studium.exercises.naming import reproduced

from studium_graders.engine.judge.canonical_text import CanonicalText
from studium_graders.engine.judge.failing_line import failing_line
from studium_graders.engine.judge.messages import bounded_message, full_message
from studium_graders.engine.judge.topic_test import Drawn, TopicTest, in_draws
from studium_graders.engine.judge.verdicts import REVIEW, UNMADE, result_of
from studium_graders.engine.judge_side.permissions import Words
from studium_graders.engine.judge_side.student import Student
from studium_graders.engine.material.results import TestResult

CHANGES = "it changes a value that it has passed to the answer, or got from it"
_SECONDS = 0.5  # for what is said of an answer after a failed test: replays of the solution, as a rule
_OF_HIDDEN = "the judge cannot decide a hidden test on your answer"


@dataclass(frozen=True)
class Judgement:
    """What came of a test. ``words`` are what it needed, ``reason`` is why it cannot run apart, "" where it can.

    ``mistakes`` are the registered ones that explain why it failed, None where it objects to something else than
    results. ``unwritten``: the function says itself that it is not there yet.
    """

    result: TestResult
    mistakes: list[str] | None = field(default_factory=list)
    words: Words = frozenset()
    reason: str = ""
    unwritten: bool = False


def judge(test: TopicTest, student: Student, text: CanonicalText, known: list[Told] | None = None) -> Judgement:
    """Judge a test against what a student's process has now. ``text`` is what the student wrote. Raise StudentGone.

    ``known`` are the tests of the exercise in this pass, with their calls; this one is added to them.
    """
    known = [] if known is None else known
    if missing := _missing(test, student):
        return Judgement(_result(test, missing))
    draws = [*in_draws(test, student)]
    last = draws[-1]
    known.append(Told(test.found.test.name, test.cell.hidden, last.run.error, last.run.calls))
    if last.doubt:
        judged = Judgement(_waiting(test, last.doubt))
    elif last.run.error is None:
        judged = Judgement(_result(test))
    else:
        judged = _failed(test, last.run, last.run.error, text, known)
    return _noted(judged, draws)


def _noted(judged: Judgement, draws: list[Drawn]) -> Judgement:
    words = frozenset[str]().union(*(drawn.watch.noted for drawn in draws))
    reason = CHANGES if any(drawn.watch.changed_later for drawn in draws) else ""
    return Judgement(judged.result, judged.mistakes, words, reason, judged.unwritten)


def _missing(test: TopicTest, student: Student) -> str:
    """Return why there is nothing to test, "" where there is a function."""
    with student.test(frozenset()):
        try:
            function = student.get(test.name)
        except NameError:
            return f"{test.name} is not there: {UNMADE}"
        return "" if callable(function) else f"{test.name} must be a function, and is a {type(function).__name__}"


def _failed(test: TopicTest, run: TestRun, error: BaseException, text: CanonicalText, known: list[Told]) -> Judgement:
    exercise, file = test.found.exercise, run.test.function.__code__.co_filename
    where = failing_line(error.__traceback__, file.__eq__)
    say = bounded_message if test.cell.hidden else full_message
    message = say(error, where, text, test.name)
    if run.not_implemented:
        return Judgement(_result(test, message), unwritten=True)
    if changed := changed_argument(exercise, run.calls):
        message = f"{test.name} changed an argument that must stay as it is" if test.cell.hidden else changed
    result = msgspec.structs.replace(_result(test, message), said=_said(test, known))
    return Judgement(result, reproduced(test.cell.topic, exercise, run.calls))


def _said(test: TopicTest, known: list[Told]) -> str:
    """Return what is true of the answer in the tests so far, without a number where this one is hidden.

    The answer is not called again.
    """
    exercise, budget = test.found.exercise, Budget(_SECONDS, interrupts=False)
    numbers = not test.cell.hidden
    return explained(exercise, known, exercise.solution, budget, live=False, numbers=numbers).sentence


def _waiting(test: TopicTest, doubt: str) -> TestResult:
    """Return the result of a test that a person decides: what is said of a hidden one tells nothing of its data."""
    message = f"{_OF_HIDDEN if test.cell.hidden else doubt}; {REVIEW}"
    return result_of(test.notebook, test.cell, "review", message=message)


def _result(test: TopicTest, message: str = "") -> TestResult:
    points = 0.0 if message else test.cell.points
    return result_of(test.notebook, test.cell, "failed" if message else "passed", points=points, message=message)
