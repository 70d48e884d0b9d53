"""Judging tests whole: in the student's own shell, where cells and tests run in order, as in nbgrader."""

from dataclasses import dataclass, field

from studium_graders.engine.judge.apart import Needs
from studium_graders.engine.judge.events import Event, Judged, Ran
from studium_graders.engine.judge.messages import said_of
from studium_graders.engine.judge.prepare import Prepared, PreparedTest
from studium_graders.engine.judge.python_text import is_silenced
from studium_graders.engine.judge.scoring import points_for_outputs, shows_number
from studium_graders.engine.judge.verdicts import NOT_YET, outcome_for, result_of
from studium_graders.engine.judge_side.student_process import StudentProcess
from studium_graders.engine.material.assignment import Calibration
from studium_graders.engine.material.results import CellRun


@dataclass
class WholeJudge:
    """Judges by what a process says in which the student's code ran: the results are unverified."""

    prepared: Prepared
    student: StudentProcess
    untouched: frozenset[str]
    calibration: Calibration
    released: bool
    needs: Needs = field(default_factory=Needs)

    def judge(self, test: PreparedTest, reason: str) -> list[Event]:
        """Run one test there and return what came of it. Lets StudentGone through."""
        run = self.student.run(test.cell.source, passing=True)
        untouched = bool(test.answers) and test.answers <= self.untouched
        if run.error.startswith("NotImplementedError") or (run.error and untouched):
            missing = result_of(self.prepared.material, test.cell, "not attempted", message=NOT_YET, reason=reason)
            return [Ran(test.cell.id, CellRun()), Judged(missing)]
        points = self._points(test, run)
        message = "" if points else said_of(run.error)
        if test.cell.hidden or not self.released:
            which = "a hidden test" if test.cell.hidden else "this test"
            message = f"{which} failed" if message else ""
            run = CellRun(error=message)
        outcome = outcome_for(points, test.cell.points)
        result = result_of(self.prepared.material, test.cell, outcome, points=points, message=message, reason=reason)
        return [Ran(test.cell.id, run), Judged(result, mistakes=None)]  # its calls were not seen

    def _points(self, test: PreparedTest, run: CellRun) -> float:
        if self.student.permissions.recording and shows_number(run):
            self.needs.scored.add(test.cell.grade_id)
        scored = test.cell.grade_id in self.calibration.scored
        return points_for_outputs(run, test.cell.points, silenced=is_silenced(test.cell.source), scored=scored)
