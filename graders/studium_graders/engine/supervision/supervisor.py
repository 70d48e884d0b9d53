"""Grading one notebook in a few passes, each with new processes.

All that students are shown comes from the passes over the notebook as they have it, which come first: no hidden text is
in any student's process before. Tests that run whole with their hidden text come last.
"""

from dataclasses import dataclass

import msgspec

from studium_graders.course.limits import Limits
from studium_graders.engine.judge.events import Planned
from studium_graders.engine.judge.judge_job import JudgeJob, Recorded
from studium_graders.engine.judge.modes import turns_of
from studium_graders.engine.judge.verdicts import result_of
from studium_graders.engine.material.assignment import NotebookMaterial
from studium_graders.engine.material.results import NotebookResult, Verdict
from studium_graders.engine.student_side.student_job import StudentJob
from studium_graders.engine.supervision.attempt import Attempt, Launch
from studium_graders.engine.supervision.combining import Combining, is_graded
from studium_graders.engine.supervision.passes import ORDER, Ended, Kind, Pass

_LAST_RELEASED = [kind for kind in ORDER if kind.released][-1]


@dataclass(frozen=True)
class Supervisor:
    """Grades notebooks with processes from two launchers."""

    student: Launch
    judge: Launch
    limits: Limits

    def grade(
        self,
        material: NotebookMaterial,
        job: JudgeJob,
        student_job: StudentJob,
        spent: dict[Kind, float] | None = None,
    ) -> tuple[NotebookResult, Recorded]:
        """Return the result of a submitted notebook, and what the code needed where ``job.recording`` is set.

        ``spent`` are the seconds that each pass has taken over other notebooks of the submission; they are added up.
        Raise what the launchers raise, and SandboxRefusedError.
        """
        notebook = job.notebook
        if notebook.missing or notebook.problem:
            return _ungraded(material, job), Recorded()
        seconds = {} if spent is None else spent
        attempt, ended = Attempt(self.student, self.judge, self.limits), Ended()
        passes: dict[Kind, Pass] = {}
        for kind in ORDER:
            if _is_wanted(kind, material, passes):
                one = passes[kind] = Pass(kind, material, attempt, ended, seconds.get(kind, 0.0))
                even_empty = kind == _LAST_RELEASED  # there to show the cells, where no pass before it has tests
                one.run(msgspec.structs.replace(job, even_empty=even_empty), student_job, self.limits)
                seconds[kind] = one.heard.seconds
                if one.verdict == "engine error":
                    break
        combining = Combining(material, notebook, list(passes.values()), ended, self.limits)
        return combining.result(), combining.recorded()


def _is_wanted(kind: Kind, material: NotebookMaterial, passes: dict[Kind, Pass]) -> bool:
    """Return whether a pass has tests, as the first one tells; where none over what is released has, one shows cells.

    A notebook without tests of topics has no pass apart.
    """
    if not passes:
        return kind.how == "whole" or any(cell.topic and cell.test for cell in material.cells)
    plan = next(iter(passes.values())).heard.plan
    if plan is None:  # its time was over before it began
        return False
    if _judges(kind, material, plan):
        return True
    released = (one for one in ORDER if one.released)
    return kind == _LAST_RELEASED and not any(_judges(one, material, plan) for one in released)


def _judges(kind: Kind, material: NotebookMaterial, plan: Planned) -> bool:
    return bool(turns_of(material, plan, released=kind.released, how=kind.how).judged)


def _ungraded(material: NotebookMaterial, job: JudgeJob) -> NotebookResult:
    notebook = job.notebook
    verdict: Verdict = "missing" if notebook.missing else "unreadable"
    message = notebook.problem or "this notebook was not handed in"
    tests = [result_of(material, cell, "failed", message=message) for cell in material.cells if is_graded(cell)]
    return NotebookResult(material.name, verdict, tests, detail=message, repairs=list(notebook.notes))
