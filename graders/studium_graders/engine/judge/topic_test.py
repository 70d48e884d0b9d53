"""A test of a topic against one student's process, with the data of one draw after the other."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from studium.exercises.checking import TestRun, run_test

from studium_graders.engine.judge.exercise_tests import ExerciseTest
from studium_graders.engine.judge.guard import watched
from studium_graders.engine.judge_side.permissions import Watch, Words
from studium_graders.engine.judge_side.student import Student
from studium_graders.engine.material.assignment import Cell, NotebookMaterial

_NOT_KNOWN = "your code changes what it is given, and nobody knows whether the reference solution does"
_NOT_TWICE = "your code does something else when the test runs a second time"


@dataclass(frozen=True)
class TopicTest:
    """A test of a topic, the cell that it is graded in, and the ``name`` of the student's function.

    ``seeds`` are those of its draws. ``words`` are what it may receive; None records what the reference needs.
    ``known`` is false where nobody knows what that is.
    """

    notebook: NotebookMaterial
    cell: Cell
    found: ExerciseTest
    name: str
    seeds: tuple[int, ...]
    words: Words | None
    known: bool = True


@dataclass(frozen=True)
class Drawn:
    """How a test ended with the data of one draw. ``doubt`` is why a person has to decide, "" where nobody has to."""

    run: TestRun
    watch: Watch
    doubt: str


def in_draws(test: TopicTest, student: Student) -> Iterator[Drawn]:
    """Run a test with each of its seeds, until one fails or a person has to decide."""
    for seed in test.seeds:
        drawn = _in_draw(test, student, seed)
        yield drawn
        if drawn.doubt or not drawn.run.passed:
            return


def _in_draw(test: TopicTest, student: Student, seed: int) -> Drawn:
    """Run a test. One that passes while changes were withheld must pass once more with these applied.

    Where it does not, and fails without them now as well, the changes are not to blame: the code counts its calls, say.
    """
    run, watch = _once(test, student, seed)
    if watch.refusal or not watch.withheld:
        return Drawn(run, watch, str(watch.refusal or ""))
    if not run.passed:
        return Drawn(run, watch, "" if test.known else _NOT_KNOWN)
    run, watch = _once(test, student, seed, applied=True)
    if watch.refusal or run.passed:
        return Drawn(run, watch, str(watch.refusal or ""))
    third, _ = _once(test, student, seed)
    return Drawn(run, watch, "" if third.passed else _NOT_TWICE)


def _once(test: TopicTest, student: Student, seed: int, *, applied: bool = False) -> tuple[TestRun, Watch]:
    """Run a test once. Raise StudentGone, also where the test has caught it."""
    with student.test(test.words, applied=applied) as watch:
        function = student.get(test.name)
        with watched() as refusal:
            run = run_test(test.found.test, function, seed)
    if student.gone is not None:
        raise student.gone
    refused = refusal()
    return (run if refused is None else replace(run, error=refused)), watch
