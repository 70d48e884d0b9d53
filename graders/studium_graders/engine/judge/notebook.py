"""Working through one submitted notebook: the student's cells there, the tests here or there."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import msgspec

from studium_graders.engine.judge.apart import Needs, TestJudge
from studium_graders.engine.judge.canonical_text import CanonicalText
from studium_graders.engine.judge.events import Event, Finished, Judged, Planned, Ran, Started
from studium_graders.engine.judge.mentioned import mentioned
from studium_graders.engine.judge.modes import Turns
from studium_graders.engine.judge.namespace import Namespace
from studium_graders.engine.judge.prepare import Prepared, PreparedTest
from studium_graders.engine.judge.random_state import RandomState
from studium_graders.engine.judge.running import run_definitions
from studium_graders.engine.judge.verdicts import NOT_YET, result_of
from studium_graders.engine.judge.whole import WholeJudge
from studium_graders.engine.judge_side.student_process import StudentProcess
from studium_graders.engine.material.assignment import Calibration, CanonicalNotebook, Step
from studium_graders.engine.material.limits import Limits

Emit = Callable[[Event], None]


class Limited(Protocol):
    """A student's process, of which each request is limited."""

    @property
    def limits(self) -> Limits:
        """The limits that hold for requests."""

    def allow(self, limits: Limits) -> None:
        """Let these limits hold for the requests to come."""


@dataclass(frozen=True)
class Work:
    """A pass over one submitted notebook.

    ``released`` where students have the notebook so: all may be said. ``seed`` is the secret from which random test
    data follow. ``skip`` are ids of cells that ended an attempt and are left out, ``slow`` the tests among them that
    were stopped for their time: others of the same answers have less of it. ``done`` are tests that an earlier attempt
    of the pass has judged.
    """

    prepared: Prepared
    canonical: CanonicalNotebook
    plan: Planned
    turns: Turns
    released: bool
    seed: bytes
    calibration: Calibration
    limits: Limits
    skip: Collection[str] = ()
    slow: Collection[str] = ()
    done: Collection[str] = ()

    @cached_property
    def running(self) -> frozenset[str]:
        """The tests that are run: what is done is run again where others build on it."""
        left_in = self.turns.run - frozenset(self.skip)
        return frozenset(name for name in left_in if name not in self.done or self._is_needed(name))

    def _is_needed(self, name: str) -> bool:
        left, sources = self.prepared.left[name], [step.source for step in self.canonical.steps]
        open_tests = (self.prepared.tests[other] for other in self.turns.judged - {*self.done, *self.skip})
        read = any(item.cell == name for test in open_tests for item in test.before)
        return read or bool(mentioned(left.seen | left.texts.keys(), sources))

    def steps(self, student: Limited, emit: Emit) -> Iterator[tuple[Step, PreparedTest | None]]:
        """Yield the steps in order, each with its test if it is one, while the limits of that test hold."""
        for event in _by_hand(self.prepared, self.canonical):
            emit(event)
        usual = student.limits
        slow = frozenset[str]().union(*(self.prepared.tests[test].answers for test in self.slow))
        for step in self.canonical.steps:
            test = self.prepared.tests[step.cell] if step.kind == "test" else None
            student.allow(usual.after_a_stop() if test and test.answers & slow else usual)
            yield step, test
            student.allow(usual)
        emit(Finished())


def run_apart(student: StudentProcess, work: Work, emit: Emit) -> Needs:
    """Run the tests of a pass in the judge; return what a recorded reference needs. Lets StudentGone through."""
    prepared = work.prepared
    student.permissions.named |= prepared.named
    student.permissions.data = prepared.data_classes
    namespace = Namespace(student, prepared.owned)
    student.permissions.given = namespace.of_judge
    sources = [step.source for step in work.canonical.steps if step.kind == "student"]
    untouched = work.canonical.untouched
    judge = TestJudge(prepared, namespace, CanonicalText(), untouched, work.calibration, work.limits, work.released)
    run_definitions(prepared.libraries, namespace)
    left: dict[str, str] = {}
    for step, test in work.steps(student, emit):
        if test is not None:
            imports = prepared.left[step.cell].imports
            judge.brought.bring_imports(imports[name] for name in sorted(mentioned(imports, sources)))
            _test(judge, test, work, emit)
            left = prepared.left[step.cell].after(left)
        else:
            wanted = mentioned(left, [step.source]) if step.cell not in work.skip else ()
            _answer(judge, step, emit, work.skip, {name: left.pop(name) for name in sorted(wanted)})
    return judge.needs


def run_whole(student: StudentProcess, work: Work, emit: Emit) -> Needs:
    """Run cells and tests in order in the student's shell, as nbgrader does. Lets StudentGone through."""
    judge = WholeJudge(work.prepared, student, work.canonical.untouched, work.calibration, work.released)
    for step, test in work.steps(student, emit):
        if step.cell in work.skip or (test is not None and step.cell not in work.running):
            continue
        emit(Started(step.cell))
        if test is None:
            emit(Ran(step.cell, student.run(step.source, name=step.cell)))
            continue
        for event in judge.judge(test, work.plan.reasons[step.cell]):
            if step.cell in work.turns.judged:
                emit(event)
    return judge.needs


def _by_hand(prepared: Prepared, canonical: CanonicalNotebook) -> Iterator[Event]:
    """Return a result to what a person grades: it waits, or nothing was written."""
    for cell in prepared.material.cells:
        if cell.graded and cell.kind in ("answer", "text"):
            untouched = cell.id in canonical.untouched
            result = result_of(prepared.material, cell, "not attempted" if untouched else "manual")
            yield Judged(msgspec.structs.replace(result, message=NOT_YET if untouched else ""))


def _answer(judge: TestJudge, step: Step, emit: Emit, skip: Collection[str], wanted: dict[str, str]) -> None:
    """Run the student's source there, and of the instructor's what tests need here, from the same random state."""
    if step.cell not in skip:
        emit(Started(step.cell))
        judge.brought.give(wanted)
    drawing = step.cell in judge.prepared.drawing
    before = RandomState() if drawing else None
    run_definitions(judge.prepared.here.get(step.cell, ()), judge.namespace)
    judge.namespace.leave(judge.prepared.there.get(step.cell, ()))
    after = RandomState() if drawing else None
    if before is not None:
        before.restore()
    judge.text.add(step.source)
    if step.cell not in skip:
        judge.namespace.lend(judge.prepared.lent.get(step.cell, ()))
        judge.runs[step.cell] = judge.namespace.student.run(step.source, name=step.cell)
        emit(Ran(step.cell, judge.runs[step.cell]))
    if after is not None:
        after.restore()


def _test(judge: TestJudge, test: PreparedTest, work: Work, emit: Emit) -> None:
    name = test.cell.id
    if name not in work.running:
        judge.skip(test, unverified=bool(work.plan.reasons[name]))
        return
    emit(Started(name))
    for event in judge.judge(test):
        if name in work.turns.judged:
            emit(event)
