"""Judging one test: split where that is possible, else in the student's process."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import msgspec
from studium.changed_arguments import changed_argument
from studium.naming import reproduced

from studium_graders.engine.judge.canonical_text import CanonicalText, readable
from studium_graders.engine.judge.earlier import Brought
from studium_graders.engine.judge.events import Event, Judged, Ran
from studium_graders.engine.judge.exercise_tests import ExerciseTest, run_draws, seeds
from studium_graders.engine.judge.failing_line import FailingLine, failing_line
from studium_graders.engine.judge.given_data import GivenData
from studium_graders.engine.judge.messages import bounded_message, full_message, said_of, unlike_the_reference
from studium_graders.engine.judge.namespace import Namespace
from studium_graders.engine.judge.prepare import Prepared, PreparedTest
from studium_graders.engine.judge.python_text import is_silenced
from studium_graders.engine.judge.running import outputs_of, run_definitions, run_test_code
from studium_graders.engine.judge.scoring import is_number, points_for_outputs, points_for_value, shows_number
from studium_graders.engine.judge.verdicts import outcome_for, result_of
from studium_graders.engine.limits import Limits
from studium_graders.engine.material import Calibration
from studium_graders.engine.remote import pyplot
from studium_graders.engine.remote.beside import Beside
from studium_graders.engine.remote.empties import FILLINGS
from studium_graders.engine.remote.environment import Environment
from studium_graders.engine.remote.notices import Speaker
from studium_graders.engine.remote.offers import KeptError
from studium_graders.engine.remote.policy import APART, ONE
from studium_graders.engine.remote.shared_files import SharedFiles
from studium_graders.engine.remote.single_numbers import REDUCTIONS
from studium_graders.engine.results import CellRun, Mode, TestResult

NOT_YET = "not attempted yet"
_Doubting = Callable[[], AbstractContextManager[None]]
_Doubt = tuple[tuple[_Doubting, ...], str]
"""In which ways a test is run once more, of which the best counts, and what is said where it fails in each."""
_CHANGED = "your function changed its arguments, which this test does not expect"


@dataclass
class TestJudge:
    """What is needed to judge the tests of one submitted notebook.

    ``unwritten`` are results, by topic and exercise, of tests that ended in NotImplementedError. ``runs`` are those of
    the cells before, in order. ``met_hidden`` once the student's process can know a hidden test.
    """

    prepared: Prepared
    namespace: Namespace
    text: CanonicalText
    untouched: frozenset[str]
    seed: bytes
    calibration: Calibration
    limits: Limits
    given: GivenData
    unwritten: dict[tuple[str, str], list[TestResult]] = field(default_factory=dict)
    runs: dict[str, CellRun] = field(default_factory=dict)
    met_hidden: bool = False
    brought: Brought = field(init=False)

    def __post_init__(self) -> None:
        self.brought = Brought(self.namespace)

    def skip(self, test: PreparedTest) -> None:
        """Make what later tests need of the definitions of a test that had its turn in an earlier attempt."""
        run_definitions(test.definitions, self.namespace)
        self.brought.hidden = self.brought.hidden or (test.cell.hidden and bool(test.definitions))

    def judge(self, test: PreparedTest) -> list[Event]:
        """Run one test and give what came of it. Lets StudentGone through."""
        cautious = self.calibration.cautious - self.calibration.partly
        self.namespace.student.policy.cautious = test.cell.grade_id in cautious
        self.namespace.student.policy.fixed = test.fixed
        self.namespace.student.common.begin_test(identity=test.identity)
        together = self._runs_together(test)
        if not together and test.exercise_test is not None and self._is_untouched(test):
            return [self._not_yet(test)]
        self.met_hidden = self.met_hidden or test.cell.hidden
        if together:
            return self._in_one_process(test)
        if test.exercise_test is not None:
            return [self._exercise_test(test, test.exercise_test)]
        with self.namespace.student.watching(test.cell.grade_id):
            events = self._split(test)
        return self._lesser(test, events) if test.cell.grade_id in self.calibration.both_ways else events

    def _runs_together(self, test: PreparedTest) -> bool:
        """Tell whether a test runs in the student's process; one of files does where none are shared."""
        without_files = test.files and self.namespace.student.files is None
        return test.code is None or without_files or test.cell.grade_id in self.calibration.one_process

    def _lesser(self, test: PreparedTest, split: list[Event]) -> list[Event]:
        """Run a test in one process as well, for the objects that it shares with the student's code there."""
        if not _points(split):
            return split
        if (files := self._files(test)) is not None:
            files.put_back()
        together = self._in_one_process(replace(test, definitions=()))  # the judge has them from the split run
        return min(split, together, key=_points)

    def _split(self, test: PreparedTest) -> list[Event]:
        self.brought.split.add(test.cell.id)
        points, error, run = self._run(test)
        if error is not None and self.namespace.student.policy.recording and pyplot.is_loaded():
            points, error, run = self._drawing_there(test)
        first = self.namespace.student.policy.short
        if error is None and points == test.cell.points and (short := self._short(test)):
            return [self._judged(test, message=short)]
        for ways, sentence in self._doubts() if error is None else ():
            again = self._best_of(test, ways, first)
            if again is None:
                return [self._judged(test, message=sentence)]
            points = min(points, again)
        if error is None and (changed := self._changed_data(test)):
            with self.namespace.as_the_student_has(changed):
                again, error, _ = self._run(test, again=True)
            points = min(points, again)
        if error is None:
            return [Ran(test.cell.id, run), self._judged(test, points)]
        policy = self.namespace.student.policy
        if isinstance(error, KeptError) and not (policy.strict or policy.recording):  # else the reference has shown it
            return self._in_one_process(test)
        judged = self._error(test, error, failing_line(error.__traceback__, _is_test_file))
        run.error = judged.result.message
        return [Ran(test.cell.id, run), judged]

    def _short(self, test: PreparedTest) -> str:
        """Say what a test left unlooked at; data of pandas' may be right by their places under other labels."""
        policy = self.namespace.student.policy
        if policy.short != APART:
            return policy.short
        unexpected, policy.by_place = policy.unexpected.copy(), True
        _, error, _ = self._run(test, again=True)
        policy.by_place = False
        policy.unexpected |= unexpected
        return APART if error is not None else policy.short

    def _best_of(self, test: PreparedTest, ways: tuple[_Doubting, ...], short: str) -> float | None:
        """Run a test again in these ways until it earns all; give the most it earns, None where it always fails.

        ``short`` says what it left unlooked at when it ran first.
        """
        policy, best = self.namespace.student.policy, None
        for doubting in ways:
            with doubting():
                points, failed, _ = self._run(test, again=True)
            if failed is None and policy.short in ("", short) and not self._suspicious():  # else it is another doubt
                best = max(points, best or 0.0)
            if best == test.cell.points:
                break
        return best

    def _run(self, test: PreparedTest, *, again: bool = False) -> tuple[float, BaseException | None, CellRun]:
        assert test.code is not None
        student = self.namespace.student
        student.refusal = None
        student.policy.unexpected, student.policy.short = set(), ""
        pyplot.close_all()
        there = self.namespace.as_the_student_has(test.deleted)
        with readable(self.text), student.in_step(test.cell.grade_id), there:
            sharing = self._sharing(test, again=again)
            ran = run_test_code(test.code, self.namespace, self.limits.output_kb, sharing, warns=test.listens)
        self._require_student()
        drawn = self._drawn()
        run = CellRun() if test.cell.hidden else CellRun(outputs_of(ran) + drawn)
        points = points_for_value(ran.value, test.cell.points, scored=self._is_scored(test, is_number(ran.value)))
        return points, ran.error or student.refusal, run

    def _drawing_there(self, test: PreparedTest) -> tuple[float, BaseException | None, CellRun]:
        """Run a test that the reference fails with pyplot of its own process, and note whether that helps."""
        policy = self.namespace.student.policy
        policy.draw_there(test.cell.grade_id, there=True)
        found = self._run(test, again=True)
        policy.draw_there(test.cell.grade_id, there=found[1] is None)
        return found

    @contextmanager
    def _sharing(self, test: PreparedTest, *, again: bool) -> Iterator[None]:
        """Let a test have files, pyplot, warnings, logs and variables of the student's process, as it needs."""
        student, files = self.namespace.student, self._files(test)
        drawing = pyplot.there(student) if student.policy.draws_there else nullcontext()
        sides: list[Beside] = [Speaker(student.ask)] if test.listens else []
        if test.variables:
            sides.append(Environment(student.ask, test.variables, student.policy.may_set_variable))
        beside = student.beside(*sides) if sides else nullcontext()
        with beside, drawing, nullcontext() if files is None else files.shared(again=again):
            yield

    def _files(self, test: PreparedTest) -> SharedFiles | None:
        return self.namespace.student.files if test.files else None

    def _drawn(self) -> list[dict[str, Any]]:
        """End the cell in the student's shell, which closes the figures that are open; give their pictures."""
        if not pyplot.is_loaded():  # no cell that students got draws
            return []
        outputs = self.namespace.student.run("").outputs
        return [output for output in outputs if output["output_type"] == "display_data"]

    def _exercise_test(self, test: PreparedTest, found: ExerciseTest) -> Judged:
        name = found.exercise.id
        try:
            function = self.namespace.student.get(name)
        except NameError:
            return self._judged(test, message=f"{name} is not there: the cell that defines it did not run to its end")
        if not callable(function):
            bounded = f"{name} must be a function"
            return self._judged(test, message=f"{bounded}, and is a {type(function).__name__}", bounded=bounded)
        self.namespace.student.refusal = None
        self.namespace.student.policy.unexpected = set()
        draws = seeds(test.cell.topic, found.exercise, found.test, self.seed)
        run = run_draws(found.test, function, draws)
        self._require_student()
        for ways, sentence in self._doubts() if run.passed else ():
            for doubting in ways:
                with doubting():
                    run = run_draws(found.test, function, draws)
                self._require_student()
                if run.passed and not self._suspicious():
                    break
            else:
                return self._judged(test, message=sentence)
        if run.error is None and self.namespace.student.refusal is not None:
            return self._error(test, self.namespace.student.refusal, None, name)
        if run.error is None:
            return self._judged(test, test.cell.points)
        file = found.test.function.__code__.co_filename
        judged = self._error(test, run.error, failing_line(run.error.__traceback__, file.__eq__), name)
        if run.not_implemented:
            self.unwritten.setdefault((test.cell.topic, name), []).append(judged.result)
            return judged
        if changed := changed_argument(found.exercise, run.calls):
            judged = self._judged(test, message=changed, bounded=f"{name} changed an argument that must stay as it is")
        return msgspec.structs.replace(judged, mistakes=reproduced(test.cell.topic, found.exercise, run.calls))

    def _in_one_process(self, test: PreparedTest) -> list[Event]:
        self.met_hidden = self.brought.bring(test.before) or self.met_hidden
        self.brought.together.add(test.cell.id)
        run = self.namespace.student.run(test.cell.source, passing=True)
        run_definitions(test.definitions, self.namespace)
        if run.error.startswith("NotImplementedError") or (run.error and self._is_untouched(test)):
            return [Ran(test.cell.id, CellRun()), self._not_yet(test, "one process")]
        silenced, scored = is_silenced(test.cell.source), self._is_scored(test, shows_number(run))
        points = points_for_outputs(run, test.cell.points, silenced=silenced, scored=scored)
        outcome = outcome_for(points, test.cell.points)
        message = "" if points else said_of(run.error)
        if test.cell.hidden:
            run = CellRun(error="a hidden test failed" if run.error else "")
            message = run.error
        result = result_of(
            self.prepared.material, test.cell, outcome, points=points, message=message, mode="one process"
        )
        return [Ran(test.cell.id, run), Judged(result, self._instead(test, "this test failed") if message else "")]

    def _is_scored(self, test: PreparedTest, number: bool) -> bool:
        """Tell whether the reference's last value is a number, and note it while that is found out."""
        policy = self.namespace.student.policy
        if policy.recording and number:
            policy.scored.add(test.cell.grade_id)
        return test.cell.grade_id in self.calibration.scored

    def _not_yet(self, test: PreparedTest, mode: Mode = "split") -> Judged:
        return Judged(result_of(self.prepared.material, test.cell, "not attempted", message=NOT_YET, mode=mode))

    def _error(self, test: PreparedTest, error: BaseException, where: FailingLine | None, name: str = "") -> Judged:
        if not name and (isinstance(error, NotImplementedError) or self._is_untouched(test)):
            return self._not_yet(test)
        if test.cell.hidden:
            return self._judged(test, message=bounded_message(error, where, self.text, name))
        bounded = bounded_message(error, where, self.text, name, test="this test")
        message = full_message(error, where, self.text, name, self._unmade())
        self._require_student()
        return self._judged(test, message=message, bounded=bounded)

    def _unmade(self) -> dict[str, str]:
        """Say of names with which error the cell ended that makes them: of several the first one, which others need."""
        found: dict[str, str] = {}
        for cell, run in self.runs.items():
            for name in self.prepared.made.get(cell, ()):
                found[name] = run.error and (found.get(name) or run.error)
        return found

    def _judged(self, test: PreparedTest, points: float = 0.0, message: str = "", bounded: str = "") -> Judged:
        """Give a result. A message that can hold what the student's code chose comes with a ``bounded`` one."""
        message = bounded if bounded and test.cell.hidden else message
        outcome = outcome_for(points, test.cell.points) if not message else "failed"
        result = result_of(self.prepared.material, test.cell, outcome, points=points, message=message)
        return Judged(result, self._instead(test, bounded))

    def _instead(self, test: PreparedTest, bounded: str) -> str:
        return bounded if self.met_hidden and not test.cell.hidden else ""

    def _is_untouched(self, test: PreparedTest) -> bool:
        return bool(test.answers) and test.answers <= self.untouched

    def _require_student(self) -> None:
        """Raise StudentGone where somebody may have caught it."""
        if self.namespace.student.gone is not None:
            raise self.namespace.student.gone

    def _doubts(self) -> Iterator[_Doubt]:
        """Give in which ways a test that passed is run once more, and what is said where it fails then.

        What it leaves unlooked at where it has copies of its own is filled in as well, in such a run.
        """
        policy, copies = self.namespace.student.policy, self._suspicious()
        unexpected = policy.unexpected
        if copies:
            yield (self._own_copies,), _CHANGED
            unexpected = unexpected | policy.unexpected
        reductions = ("", *REDUCTIONS) if ONE in unexpected else ("",)
        for filling in FILLINGS if unexpected else ():
            ways = (partial(self._filled, filling, reduction, copies) for reduction in reductions)
            yield tuple(ways), unlike_the_reference(unexpected)

    @contextmanager
    def _filled(self, filling: float, reduction: str, copies: bool) -> Iterator[None]:
        filled = self.namespace.student.filled(filling, reduction)
        with filled, self._own_copies() if copies else nullcontext():
            yield

    def _suspicious(self) -> bool:
        """Tell whether a call has changed its arguments that the reference leaves alone; ask once."""
        policy = self.namespace.student.policy
        found = bool(policy.suspicious) and policy.writeback == "live"
        policy.suspicious.clear()
        return found

    def _changed_data(self, test: PreparedTest) -> frozenset[str]:
        """Name the given data that a test reads and the student's code has changed."""
        if self.namespace.student.policy.recording:
            return frozenset()
        try:
            return self.given.changed(test.given)
        finally:
            self._require_student()

    @contextmanager
    def _own_copies(self) -> Iterator[None]:
        """Keep the judge's arguments as they are, whatever the student's function does to its own."""
        policy = self.namespace.student.policy
        policy.writeback = "kept"
        try:
            with self.namespace.student.common.as_before():
                yield
        finally:
            policy.writeback = "live"
            policy.suspicious.clear()


def _is_test_file(filename: str) -> bool:
    return filename.startswith("<test ")


def _points(events: list[Event]) -> float:
    return sum(event.result.points for event in events if isinstance(event, Judged))
