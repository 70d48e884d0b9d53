"""Judging tests whole: in the student's own shell, where cells and tests run in order, as in nbgrader."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from studium_graders.engine.judge.events import Event, Judged, Ran, Started
from studium_graders.engine.judge.judge_job import Recorded
from studium_graders.engine.judge.messages import short
from studium_graders.engine.judge.notebook import Emit, Work
from studium_graders.engine.judge.prepare import PreparedTest
from studium_graders.engine.judge.python_text import is_silenced
from studium_graders.engine.judge.scoring import points_for_outputs
from studium_graders.engine.judge.verdicts import NOT_YET, outcome_for, result_of
from studium_graders.engine.judge_side.student import Student
from studium_graders.engine.kinds.cell_outputs import number_shown
from studium_graders.engine.material.results import CellRun

_NOT_IMPLEMENTED, _ASSERTED = "NotImplementedError", "AssertionError: "
_SOME_ASSERTION = "an assertion of the test does not hold"
_MISSING = re.compile(r"NameError: name '(\w+)' is not defined")
_CELL = re.compile(r"<ipython-input-[\w-]+>, ")


def run_whole(student: Student, work: Work, emit: Emit) -> Recorded:
    """Run cells and tests in order in the student's shell, as nbgrader does. Lets StudentGone through."""
    judge, scored = _Judge(work), set[str]()
    for step, test in work.steps(student, emit):
        if test is None:
            emit(Started(step.cell))
            judge.runs[step.cell] = student.run(step.source)
            emit(Ran(step.cell, judge.runs[step.cell]))
        elif step.cell in work.running:
            emit(Started(step.cell))
            run = student.run(test.cell.source, passing=True)
            if number_shown(run.outputs) is not None:
                scored.add(test.cell.grade_id)
            for event in judge.judged(test, run) if step.cell in work.turns.judged else ():
                emit(event)
    return Recorded(scored=frozenset(scored))


@dataclass
class _Judge:
    """Judges by what a process says in which the student's code ran: the results are unverified.

    ``runs`` are those of the cells before, in order.
    """

    work: Work
    runs: dict[str, CellRun] = field(default_factory=dict)

    def judged(self, test: PreparedTest, run: CellRun) -> Iterator[Event]:
        """Return what came of a test."""
        reason, book = self.work.plan.reasons[test.cell.id], self.work.prepared.material
        if run.error.startswith(_NOT_IMPLEMENTED) or (run.error and self.work.is_untouched(test)):
            yield Ran(test.cell.id, CellRun())
            yield Judged(result_of(book, test.cell, "not attempted", message=NOT_YET, reason=reason))
            return
        points = self._points(test, run)
        message = "" if points else self._said(run.error)
        if test.cell.hidden or not self.work.released:
            which = "a hidden test" if test.cell.hidden else "this test"
            message = f"{which} failed" if message else ""
            run = CellRun(error=message)
        outcome = outcome_for(points, test.cell.points)
        yield Ran(test.cell.id, run)
        result = result_of(book, test.cell, outcome, points=points, message=message, reason=reason)
        yield Judged(result, mistakes=None)  # its calls were not seen

    def _points(self, test: PreparedTest, run: CellRun) -> float:
        scored = test.cell.grade_id in self.work.calibration.scored
        return points_for_outputs(run, test.cell.points, silenced=is_silenced(test.cell.source), scored=scored)

    def _said(self, error: str) -> str:
        """Say what the error of a test means for its student."""
        if missing := _MISSING.match(error):
            reason = next(filter(None, self._ended(missing[1])), "")
            return short(f"{missing[0]}: the cell that makes it ended with {reason}" if reason else error)
        return short(error.removeprefix(_ASSERTED)) or (_SOME_ASSERTION if error else "")

    def _ended(self, name: str) -> Iterator[str]:
        """Yield the errors with which cells ended that make a name: of several the first, which others need."""
        for cell, run in self.runs.items():
            if run.error and name in self.work.prepared.bound.get(cell, ()):
                yield _first_line(run.error)


def _first_line(error: str) -> str:
    """Return the line of a cell's error that says what it is; a SyntaxError begins with its place and the cell."""
    lines = error.strip().splitlines()
    return _CELL.sub("", lines[-1 if lines[0].startswith("File ") else 0].strip())
