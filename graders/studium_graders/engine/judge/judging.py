"""Judging one test: split where that is possible, else in the student's process."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec
from studium.changed_arguments import changed_argument
from studium.naming import reproduced

from studium_graders.engine.judge.canonical_text import CanonicalText, readable
from studium_graders.engine.judge.earlier import Brought
from studium_graders.engine.judge.events import Event, Judged, Ran
from studium_graders.engine.judge.exercise_tests import ExerciseTest, run_draws, seeds
from studium_graders.engine.judge.failing_line import FailingLine, failing_line
from studium_graders.engine.judge.messages import bounded_message, full_message, said_of
from studium_graders.engine.judge.namespace import Namespace
from studium_graders.engine.judge.prepare import Prepared, PreparedTest
from studium_graders.engine.judge.python_text import is_silenced
from studium_graders.engine.judge.running import Ran as TestRun
from studium_graders.engine.judge.running import outputs_of, run_definitions, run_test_code
from studium_graders.engine.judge.scoring import is_number, points_for_outputs, points_for_value, shows_number
from studium_graders.engine.judge.verdicts import NOT_YET, UNMADE, WAITS, outcome_for, result_of
from studium_graders.engine.judge_side.student_gone import KeptError
from studium_graders.engine.material.assignment import Calibration
from studium_graders.engine.material.limits import Limits
from studium_graders.engine.material.results import CellRun, TestResult

HARNESS_CHANGED = "your code has changed how tests run: this test passes without your answer, too"
SKIPPED = "tests of this suite were skipped that the solution passes, so a person will mark it"
_GIVES_AWAY = "it gives the answer an object that must not leave the judge"


@dataclass
class Needs:
    """What the reference needs, by grade id, beside permissions: noted while it is recorded."""

    one_process: dict[str, str] = field(default_factory=dict)
    controlled: set[str] = field(default_factory=set)
    scored: set[str] = field(default_factory=set)
    suites: dict[str, int] = field(default_factory=dict)


@dataclass
class TestJudge:
    """What is needed to judge the tests of one submitted notebook.

    ``unwritten`` are results, by topic and exercise, of tests that ended in NotImplementedError. ``runs`` are those of
    the cells before, in order. ``met_hidden`` once the student's process can know a hidden test. ``beside``: that
    process may be given the text of hidden tests which meet an error, for nothing that it does now earns anything.
    """

    prepared: Prepared
    namespace: Namespace
    text: CanonicalText
    untouched: frozenset[str]
    seed: bytes
    calibration: Calibration
    limits: Limits
    beside: bool = False
    needs: Needs = field(default_factory=Needs)
    unwritten: dict[tuple[str, str], list[TestResult]] = field(default_factory=dict)
    runs: dict[str, CellRun] = field(default_factory=dict)
    met_hidden: bool = False
    brought: Brought = field(init=False)

    def __post_init__(self) -> None:
        self.brought = Brought(self.namespace)
        self.student, self.permissions = self.namespace.student, self.namespace.student.permissions

    def skip(self, test: PreparedTest) -> None:
        """Make what later tests need of the definitions of a test that had its turn in an earlier attempt."""
        run_definitions(test.definitions, self.namespace)
        self.brought.hidden = self.brought.hidden or (test.cell.hidden and bool(test.definitions))

    def judge(self, test: PreparedTest) -> list[Event]:
        """Run one test once and return what came of it. Lets StudentGone through."""
        cautious = self.calibration.cautious - self.calibration.partly
        self.permissions.cautious = test.cell.grade_id in cautious
        reason = test.one_process or self.calibration.one_process.get(test.cell.grade_id, "")
        if not reason and test.exercise_test is not None and self._is_untouched(test):
            return [self._not_yet(test)]
        self.met_hidden = self.met_hidden or test.cell.hidden
        if reason:
            return self._in_one_process(test, reason)
        with self.student.watching() as reason_of_one:
            found = test.exercise_test
            events: list[Event] = self._split(test) if found is None else [self._exercise(test, found)]
            if why := reason_of_one():
                self.needs.one_process[test.cell.grade_id] = why
        return events

    # ------------------------------------------------------------------------------------------------ split

    def _split(self, test: PreparedTest) -> list[Event]:
        assert test.code is not None
        self.brought.split.add(test.cell.id)
        self.student.forget_refusal()
        with readable(self.text), self.namespace.as_the_student_has(test.deleted):
            ran = run_test_code(test.code, self.namespace, self.limits.output_kb)
        self._require_student()
        run = CellRun() if test.cell.hidden else CellRun(outputs_of(ran))
        error = ran.error or self.student.refusal
        if error is None:
            return [Ran(test.cell.id, run), self._passed(test, ran)]
        if isinstance(error, KeptError) and not (self.permissions.strict or self.permissions.recording):
            return self._in_one_process(test, _GIVES_AWAY)  # else the reference has shown it
        judged = self._error(test, error, failing_line(error.__traceback__, _is_test_file))
        run.error = judged.result.message
        return [Ran(test.cell.id, run), self._or_waits(test, judged, error)]

    def _passed(self, test: PreparedTest, ran: TestRun) -> Judged:
        """Return the points of a test that met no error; one that skips what it does not with the reference waits."""
        if self.permissions.recording and ran.suites.passed:
            self.needs.suites[test.cell.grade_id] = ran.suites.passed
        if ran.suites.excused and ran.suites.passed < self.calibration.suites.get(test.cell.grade_id, 0):
            return Judged(result_of(self.prepared.material, test.cell, "manual", message=SKIPPED))
        scored = self._is_scored(test, is_number(ran.value))
        return self._judged(test, points_for_value(ran.value, test.cell.points, scored=scored))

    def _exercise(self, test: PreparedTest, found: ExerciseTest) -> Judged:
        name = found.exercise.id
        try:
            function = self.student.get(name)
        except NameError:
            return self._judged(test, message=f"{name} is not there: {UNMADE}")
        if not callable(function):
            bounded = f"{name} must be a function"
            return self._judged(test, message=f"{bounded}, and is a {type(function).__name__}", bounded=bounded)
        self.student.forget_refusal()
        run = run_draws(found.test, function, seeds(test.cell.topic, found.exercise, found.test, self.seed))
        self._require_student()
        if run.error is None and (refusal := self.student.refusal) is not None:
            return self._or_waits(test, self._error(test, refusal, None, name), refusal)
        if run.error is None:
            return self._judged(test, test.cell.points)
        file = found.test.function.__code__.co_filename
        judged = self._error(test, run.error, failing_line(run.error.__traceback__, file.__eq__), name)
        if run.not_implemented:
            self.unwritten.setdefault((test.cell.topic, name), []).append(judged.result)
            return judged
        if changed := changed_argument(found.exercise, run.calls):
            judged = self._judged(test, message=changed, bounded=f"{name} changed an argument that must stay as it is")
        judged = msgspec.structs.replace(judged, mistakes=reproduced(test.cell.topic, found.exercise, run.calls))
        if self.student.refusal is None:  # beside the answer, the test would not have the data that led to this error
            return judged
        return self._or_waits(test, judged, run.error)

    def _or_waits(self, test: PreparedTest, failed: Judged, error: BaseException) -> Judged:
        """Return ``failed``; where a test met an error that it does not meet beside the answer, it waits for a person.

        An assertion of the test is its word, and a name that only the test makes is not the answer's to read. Beside
        the answer it runs in a fork, of which nothing is left.
        """
        decided = isinstance(error, AssertionError | NameError) and self.student.refusal is None
        if decided or failed.result.outcome != "failed" or self.permissions.recording:
            return failed
        if not self.beside and (test.cell.hidden or any(earlier.hidden for earlier in test.before)):
            return msgspec.structs.replace(failed, undecided=True)
        self.met_hidden = self.brought.bring(test.before) or self.met_hidden
        if not self.student.control([], [], test.cell.source):
            return failed
        waiting = msgspec.structs.replace(failed.result, outcome="manual", message=f"{failed.result.message}{WAITS}")
        return Judged(waiting, failed.bounded and f"{failed.bounded}{WAITS}", mistakes=None)

    # ------------------------------------------------------------------------------------------------ in one process

    def _in_one_process(self, test: PreparedTest, reason: str) -> list[Event]:
        self.met_hidden = self.brought.bring(test.before) or self.met_hidden
        self.brought.together.add(test.cell.id)
        run = self.student.run(test.cell.source, passing=True)
        run_definitions(test.definitions, self.namespace)
        if run.error.startswith("NotImplementedError") or (run.error and self._is_untouched(test)):
            return [Ran(test.cell.id, CellRun()), self._not_yet(test, reason)]
        silenced, scored = is_silenced(test.cell.source), self._is_scored(test, shows_number(run))
        points = points_for_outputs(run, test.cell.points, silenced=silenced, scored=scored)
        if points and self._passes_without(test):
            points, run = 0.0, CellRun(error=HARNESS_CHANGED)
        message = "" if points else said_of(run.error)
        if test.cell.hidden:
            run = CellRun(error="a hidden test failed" if run.error else "")
            message = run.error
        result = result_of(
            self.prepared.material,
            test.cell,
            outcome_for(points, test.cell.points),
            points=points,
            message=message,
            reason=reason,
        )
        bounded = self._instead(test, "this test failed") if message else ""
        return [Ran(test.cell.id, run), Judged(result, bounded, mistakes=None)]  # its calls were not seen

    def _passes_without(self, test: PreparedTest) -> bool:
        """Return whether a test passes with the stub, too, though it fails so for the reference: the negative control.

        While the reference is recorded, note whether it fails.
        """
        answers = [cell for cell in self.prepared.material.cells if cell.id in test.answers]
        if not answers or not (self.permissions.recording or test.cell.grade_id in self.calibration.controlled):
            return False
        names = sorted(name for cell in answers for name in self.prepared.answered[cell.id])
        passes = self.student.control(names, [cell.source for cell in answers], test.cell.source)
        if self.permissions.recording and not passes:
            self.needs.controlled.add(test.cell.grade_id)
        return passes and not self.permissions.recording

    # ------------------------------------------------------------------------------------------------ results

    def _is_scored(self, test: PreparedTest, number: bool) -> bool:
        """Return whether the reference's last value is a number, and note it while that is found out."""
        if self.permissions.recording and number:
            self.needs.scored.add(test.cell.grade_id)
        return test.cell.grade_id in self.calibration.scored

    def _not_yet(self, test: PreparedTest, reason: str = "") -> Judged:
        return Judged(result_of(self.prepared.material, test.cell, "not attempted", message=NOT_YET, reason=reason))

    def _error(self, test: PreparedTest, error: BaseException, where: FailingLine | None, name: str = "") -> Judged:
        if not name and (isinstance(error, NotImplementedError) or self._is_untouched(test)):
            return self._not_yet(test)
        if test.cell.hidden:
            return self._judged(test, message=bounded_message(error, where, self.text, name))
        bounded = bounded_message(error, where, self.text, name, test="this test")
        message = full_message(error, where, self.text, name, dict(self._unmade()))
        self._require_student()
        return self._judged(test, message=message, bounded=bounded)

    def _unmade(self) -> Iterator[tuple[str, str]]:
        """Yield names and with which error the cell ended that makes them: of several the first, which others need."""
        found: dict[str, str] = {}
        for cell, run in self.runs.items():
            for name in self.prepared.made.get(cell, ()):
                found[name] = run.error and (found.get(name) or run.error)
        yield from found.items()

    def _judged(self, test: PreparedTest, points: float = 0.0, message: str = "", bounded: str = "") -> Judged:
        """Return a result. A message that can hold what the student's code chose comes with a ``bounded`` one."""
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
        if self.student.gone is not None:
            raise self.student.gone


def _is_test_file(filename: str) -> bool:
    return filename.startswith("<test ")
