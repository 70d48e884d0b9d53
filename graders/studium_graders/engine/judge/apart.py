"""Judging one test apart from the answer, which runs in the student's process."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec

from studium_graders.engine.judge.canonical_text import CanonicalText, readable
from studium_graders.engine.judge.earlier import Brought
from studium_graders.engine.judge.events import Event, Judged, Ran
from studium_graders.engine.judge.failing_line import FailingLine, failing_line
from studium_graders.engine.judge.guard import ReachRefusedError
from studium_graders.engine.judge.messages import bounded_message, full_message
from studium_graders.engine.judge.namespace import Namespace
from studium_graders.engine.judge.prepare import Prepared, PreparedTest
from studium_graders.engine.judge.running import Ran as TestRun
from studium_graders.engine.judge.running import outputs_of, run_definitions, run_test_code
from studium_graders.engine.judge.scoring import is_number, points_for_value
from studium_graders.engine.judge.verdicts import NOT_YET, REVIEW, outcome_for, result_of
from studium_graders.engine.judge_side.student_gone import KeptError
from studium_graders.engine.material.assignment import Calibration
from studium_graders.engine.material.limits import Limits
from studium_graders.engine.material.results import CellRun
from studium_graders.engine.wire.codec import RefusedError

SKIPPED = "tests of this suite were skipped that the solution passes"


@dataclass
class Needs:
    """What the reference needs, by grade id, beside permissions: noted while it is recorded."""

    unverified: dict[str, str] = field(default_factory=dict)
    scored: set[str] = field(default_factory=set)
    suites: dict[str, int] = field(default_factory=dict)


@dataclass
class TestJudge:
    """What is needed to judge the tests of one submitted notebook.

    ``released`` where students have the tests: everything may be said of them. ``runs`` are those of the cells before,
    in order.
    """

    prepared: Prepared
    namespace: Namespace
    text: CanonicalText
    untouched: frozenset[str]
    calibration: Calibration
    limits: Limits
    released: bool
    needs: Needs = field(default_factory=Needs)
    runs: dict[str, CellRun] = field(default_factory=dict)
    brought: Brought = field(init=False)

    def __post_init__(self) -> None:
        self.brought = Brought(self.namespace)
        self.student, self.permissions = self.namespace.student, self.namespace.student.permissions

    def skip(self, test: PreparedTest, *, unverified: bool) -> None:
        """Make what later tests need of the definitions of a test that is not run here.

        What an unverified one binds comes by its text where a later cell wants it.
        """
        run_definitions(test.definitions, self.namespace)
        if unverified:
            left, cell = self.prepared.left[test.cell.id], test.cell
            source = cell.released if cell.hidden else cell.source
            self.brought.waiting |= dict.fromkeys(left.seen | left.texts.keys(), source)

    def judge(self, test: PreparedTest) -> list[Event]:
        """Run one test once and return what came of it. Lets StudentGone through."""
        cautious = self.calibration.cautious - self.calibration.partly
        self.permissions.cautious = test.cell.grade_id in cautious
        with self.student.watching() as reason_of_one:
            events = self._cell(test)
            if why := reason_of_one():
                self.needs.unverified[test.cell.grade_id] = why
        return events

    def _cell(self, test: PreparedTest) -> list[Event]:
        assert test.code is not None
        self.student.forget_refusal()
        with readable(self.text), self.namespace.as_the_student_has(test.deleted):
            ran = run_test_code(test.code, self.namespace, self.limits.output_kb)
        self._require_student()
        run = CellRun(outputs_of(ran)) if self._may_say_all(test) else CellRun()
        error = ran.error or self.student.refusal
        if error is None:
            return [Ran(test.cell.id, run), self._passed(test, ran)]
        judged = self._error(test, error, failing_line(error.__traceback__, _is_test_file))
        run.error = judged.result.message
        return [Ran(test.cell.id, run), self._or_review(judged, error)]

    def _passed(self, test: PreparedTest, ran: TestRun) -> Judged:
        """Return the points of a test that met no error; one that skips more than with the reference is for review."""
        if self.permissions.recording and ran.suites.passed:
            self.needs.suites[test.cell.grade_id] = ran.suites.passed
        if ran.suites.excused and ran.suites.passed < self.calibration.suites.get(test.cell.grade_id, 0):
            return Judged(result_of(self.prepared.material, test.cell, "review", message=f"{SKIPPED}; {REVIEW}"))
        if self.permissions.recording and is_number(ran.value):
            self.needs.scored.add(test.cell.grade_id)
        scored = test.cell.grade_id in self.calibration.scored
        return self._judged(test, points_for_value(ran.value, test.cell.points, scored=scored))

    def _or_review(self, failed: Judged, error: BaseException) -> Judged:
        """Return ``failed``; where the judge refused what a test needed, it is for review, whoever caught that.

        Another error than an assertion or a missing name may come of running apart: the test is undecided.
        """
        refused = self.student.refusal is not None or isinstance(error, RefusedError | KeptError | ReachRefusedError)
        if failed.result.outcome != "failed" or self.permissions.recording:
            return failed
        if not refused:
            return msgspec.structs.replace(failed, undecided=not isinstance(error, AssertionError | NameError))
        message = f"{failed.result.message}; {REVIEW}"
        return Judged(msgspec.structs.replace(failed.result, outcome="review", message=message), mistakes=None)

    def _not_yet(self, test: PreparedTest) -> Judged:
        return Judged(result_of(self.prepared.material, test.cell, "not attempted", message=NOT_YET))

    def _error(self, test: PreparedTest, error: BaseException, where: FailingLine | None) -> Judged:
        if isinstance(error, NotImplementedError) or self._is_untouched(test):
            return self._not_yet(test)
        if not self._may_say_all(test):
            which = "a hidden test" if test.cell.hidden else "this test"
            return self._judged(test, message=bounded_message(error, where, self.text, test=which))
        message = full_message(error, where, self.text, unmade=dict(self._unmade()))
        self._require_student()
        return self._judged(test, message=message)

    def _unmade(self) -> Iterator[tuple[str, str]]:
        """Yield names and with which error the cell ended that makes them: of several the first, which others need."""
        found: dict[str, str] = {}
        for cell, run in self.runs.items():
            for name in self.prepared.made.get(cell, ()):
                found[name] = run.error and (found.get(name) or run.error)
        yield from found.items()

    def _judged(self, test: PreparedTest, points: float = 0.0, message: str = "") -> Judged:
        outcome = outcome_for(points, test.cell.points) if not message else "failed"
        return Judged(result_of(self.prepared.material, test.cell, outcome, points=points, message=message))

    def _may_say_all(self, test: PreparedTest) -> bool:
        """Return whether the student's code can know no hidden test, and this one is none."""
        return self.released and not test.cell.hidden

    def _is_untouched(self, test: PreparedTest) -> bool:
        return bool(test.answers) and test.answers <= self.untouched

    def _require_student(self) -> None:
        """Raise StudentGone where somebody may have caught it."""
        if self.student.gone is not None:
            raise self.student.gone


def _is_test_file(filename: str) -> bool:
    return filename.startswith("<test ")
