"""Grading one notebook: attempts, until every test has its result.

An attempt that a step ends costs this step alone: the next one leaves it out, and what has its result.
"""

from collections import Counter
from dataclasses import dataclass

import msgspec

from studium_graders.engine.attempt import Attempt, Heard, Launch
from studium_graders.engine.endings import Ending, breach_in
from studium_graders.engine.judge.verdicts import result_of
from studium_graders.engine.judge_job import JudgeJob, Recorded
from studium_graders.engine.limits import Limits
from studium_graders.engine.material import CanonicalNotebook, Cell, NotebookMaterial
from studium_graders.engine.results import CellRun, NotebookResult, Outcome, TestResult, Verdict
from studium_graders.engine.student_job import StudentJob

_TRIES = 3  # for a step, when what ended it may be nobody's fault


@dataclass(frozen=True)
class Supervisor:
    """Grades notebooks with processes from two launchers."""

    student: Launch
    judge: Launch
    limits: Limits

    def grade(self, material: NotebookMaterial, job: JudgeJob, student_job: StudentJob) -> NotebookResult:
        """Give the result of a submitted notebook. Raise what the launchers raise, and SandboxRefusedError."""
        notebook = job.notebook
        if notebook.missing or notebook.problem:
            return _ungraded(material, notebook)
        return _Grading(self, material, job, student_job).run()

    def observe(
        self, material: NotebookMaterial, job: JudgeJob, student_job: StudentJob
    ) -> tuple[NotebookResult, Recorded]:
        """Give the result, and what the notebook's code needed where ``job.recording`` is set."""
        grading = _Grading(self, material, job, student_job)
        return grading.run(), grading.heard.recorded


class _Grading:
    """The attempts at one notebook, and what they brought."""

    def __init__(
        self, supervisor: Supervisor, material: NotebookMaterial, job: JudgeJob, student_job: StudentJob
    ) -> None:
        self.supervisor = supervisor
        self.material = material
        self.job = job
        self.student_job = student_job
        self.cells = {cell.id: cell for cell in material.cells}
        self.heard = Heard()
        self.stopped: dict[str, str] = {}
        self.tries: Counter[str] = Counter()
        self.notes = list(job.notebook.notes)
        self.verdict: Verdict = "graded"
        self.detail = ""

    def run(self) -> NotebookResult:
        limits = self.supervisor.limits
        attempt = Attempt(self.supervisor.student, self.supervisor.judge, limits)
        while ending := attempt.run(self._remaining(), self.student_job, self.heard):
            if not self._goes_on(ending) or self.heard.seconds >= limits.submission_seconds:
                break
        self._fill(ending.sentence if ending else "")
        self._explain()
        tests = [self.heard.results[key] for key in map(_key, self.material.cells) if key in self.heard.results]
        return NotebookResult(self.material.name, self.verdict, tests, self.heard.runs, self.detail, self.notes)

    def _remaining(self) -> JudgeJob:
        done = {cell.id for cell in self.material.cells if _key(cell) in self.heard.results}
        return msgspec.structs.replace(self.job, skip=frozenset(done | self.stopped.keys()))

    def _goes_on(self, ending: Ending) -> bool:
        """Blame a step where one is to blame; tell whether another attempt is worth while."""
        step = self.heard.step
        self.tries[step] += 1
        if ending.cause == "ours" or not step:
            return self._tries_again(step, ending)
        if ending.cause == "unclear" and self.tries[step] < _TRIES:
            self.notes.append(f"{step} was run again: {ending.sentence}")
            return True
        self._blame(step, ending)
        return True

    def _tries_again(self, step: str, ending: Ending) -> bool:
        if self.tries[step] < _TRIES:
            self.notes.append(f"{step or 'the start'} was run again: {_last_line(ending.sentence)}")
            return True
        self.notes.append(ending.sentence)
        cell = self.cells.get(step)
        if cell is not None and cell.kind == "test":
            self._blame(step, Ending("graded", "this test could not be judged on your answer: ask your instructor"))
            return True
        self.verdict, self.detail = "engine error", _last_line(ending.sentence)
        return False

    def _blame(self, step: str, ending: Ending) -> None:
        cell = self.cells.get(step)
        self._note_breach(ending)
        if cell is not None and cell.kind == "test":
            self.heard.results[_key(cell)] = result_of(self.material, cell, "failed", message=ending.sentence)
        else:
            self.stopped[step] = ending.sentence
            self.heard.runs[step] = CellRun(error=ending.sentence)

    def _fill(self, why: str) -> None:
        """Give every graded cell that had no turn a result."""
        for cell in self.material.cells:
            if _is_graded(cell) and _key(cell) not in self.heard.results:
                outcome: Outcome = "failed" if cell.kind == "test" else "manual"
                self.heard.results[_key(cell)] = result_of(self.material, cell, outcome, message=_last_line(why))

    def _explain(self) -> None:
        """Name the limit behind an error that the kernel gave, and the stopped cell behind a name that is missing."""
        for key, test in self.heard.results.items():
            if test.outcome == "failed" and (breach := breach_in(test.message, self.supervisor.limits)):
                self._note_breach(breach)
                self.heard.results[key] = _with(test, f"{breach.sentence} ({test.message})")
            elif test.outcome == "failed" and self.stopped and "is not defined" in test.message:
                cell = self._stopped_before(key)
                self.heard.results[key] = _with(
                    test, f"{self.stopped[cell]} ({test.message})" if cell else test.message
                )
        for run in self.heard.runs.values():
            if breach := breach_in(run.error, self.supervisor.limits):
                self._note_breach(breach)

    def _stopped_before(self, key: str) -> str:
        """Give the last stopped cell before a test, "" where there is none."""
        last = ""
        for step in self.job.notebook.steps:
            last = step.cell if step.cell in self.stopped else last
            if step.cell in self.cells and _key(self.cells[step.cell]) == key:
                break
        return last

    def _note_breach(self, ending: Ending) -> None:
        if self.verdict == "graded":
            self.verdict, self.detail = ending.verdict, ending.sentence


def _ungraded(material: NotebookMaterial, notebook: CanonicalNotebook) -> NotebookResult:
    verdict: Verdict = "missing" if notebook.missing else "unreadable"
    message = notebook.problem or "this notebook was not handed in"
    tests = [result_of(material, cell, "failed", message=message) for cell in material.cells if _is_graded(cell)]
    return NotebookResult(material.name, verdict, tests, detail=message, notes=list(notebook.notes))


def _is_graded(cell: Cell) -> bool:
    return cell.kind == "test" or cell.graded


def _key(cell: Cell) -> str:
    return cell.grade_id or cell.id


def _with(test: TestResult, message: str) -> TestResult:
    return msgspec.structs.replace(test, message=message)


def _last_line(text: str) -> str:
    return text.strip().rpartition("\n")[2]
