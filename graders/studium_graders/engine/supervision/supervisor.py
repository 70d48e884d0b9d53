"""Grading one notebook: attempts, until every test has its result.

An attempt that a step ends costs this step alone: the next one leaves it out, and what has its result.

A student's code can keep what a hidden test gives it, and say it in the message of a later visible test, or print it in
a later cell. So the words for such a test, and what the student's own cells show, come from one attempt more, at the
notebook as students have it: no hidden test is in it.
"""

from collections import Counter
from collections.abc import Set
from dataclasses import dataclass
from itertools import dropwhile

import msgspec
from studium.naming import commonest
from studium.syntax import fault

from studium_graders.engine.judge.judge_job import JudgeJob, Recorded
from studium_graders.engine.judge.verdicts import UNMADE, WAITS, result_of
from studium_graders.engine.material.assignment import CanonicalNotebook, Cell, NotebookMaterial, Step
from studium_graders.engine.material.limits import Limits
from studium_graders.engine.material.results import CellRun, NotebookResult, Outcome, TestResult, Verdict
from studium_graders.engine.processes.endings import Ending, breach_in, out_of_time
from studium_graders.engine.student_side.student_job import StudentJob
from studium_graders.engine.supervision.attempt import Attempt, Heard, Launch

_NOT_FOUND_OUT = "; whether the test passes together with your code was not found out, so a person will mark it"
_KILLED = "; the test is hidden and is not run twice, so a person will mark it"
_TRIES = 3  # for a step, when what ended it may be nobody's fault


@dataclass(frozen=True)
class Supervisor:
    """Grades notebooks with processes from two launchers."""

    student: Launch
    judge: Launch
    limits: Limits

    def grade(
        self, material: NotebookMaterial, job: JudgeJob, student_job: StudentJob, spent: float = 0.0
    ) -> NotebookResult:
        """Return the result of a submitted notebook, ``spent`` seconds after its submission had its turn.

        Raise what the launchers raise, and SandboxRefusedError.
        """
        notebook = job.notebook
        if notebook.missing or notebook.problem:
            return _ungraded(material, notebook)
        grading = _Grading(self, material, job, student_job, spent)
        grading.run()
        grading.reword()
        grading.decide()
        return grading.result()

    def observe(
        self, material: NotebookMaterial, job: JudgeJob, student_job: StudentJob
    ) -> tuple[NotebookResult, Recorded]:
        """Return the result, in words for the instructor, and what the code needed where ``job.recording`` is set."""
        grading = _Grading(self, material, job, student_job)
        grading.run()
        grading.decide()
        return grading.result(), grading.heard.recorded


class _Grading:
    """The attempts at one notebook, and what they brought."""

    def __init__(
        self,
        supervisor: Supervisor,
        material: NotebookMaterial,
        job: JudgeJob,
        student_job: StudentJob,
        spent: float = 0.0,
    ) -> None:
        self.supervisor = supervisor
        self.material = material
        self.job = job
        self.student_job = student_job
        self.attempt = Attempt(supervisor.student, supervisor.judge, supervisor.limits)
        self.cells = {cell.id: cell for cell in material.cells}
        self.heard = Heard(seconds=spent)
        self.stopped: dict[str, str] = {}
        self.ended: set[str] = set()
        self.late: set[str] = set()
        self.tries: Counter[str] = Counter()
        self.notes: list[str] = []
        self.verdict: Verdict = "graded"
        self.detail = ""

    def run(self) -> None:
        """Record a result for every test."""
        while not self._out_of_time():
            ending = self.attempt.run(self._remaining(), self.student_job, self.heard)
            if not ending or not self._goes_on(ending):
                break
        else:
            ending = out_of_time(self.supervisor.limits.submission_seconds)
            self._note_breach(ending)
        self._fill(ending.sentence if ending else "")
        self._note_breaches()

    def reword(self) -> None:
        """Replace what failed visible tests say, and cells show, once the student's code knew a hidden test.

        A test that is hidden in part says what its visible part says, where that fails. No mark changes.
        """
        clean = Heard(seconds=self.heard.seconds)
        wanted = {
            cell.id for cell in self.material.cells if _key(cell) in self.heard.bounded or self._is_half_seen(cell)
        }
        shown = self._shown_after_hidden()
        if wanted | shown and not self._out_of_time():
            self.attempt.run(self._as_released(wanted | shown), self.student_job, clean)
        for cell in self.material.cells:
            if cell.id in wanted:
                self._take_words(cell, self.heard.bounded.get(_key(cell), ""), clean)
        for name in shown & clean.runs.keys():
            self.heard.runs[name] = msgspec.structs.replace(clean.runs[name], as_released=True)

    def decide(self) -> None:
        """Let a person mark a hidden test that met an error and passes beside the answer, or is not found out.

        The attempt that gives the student's process the text of such tests is the last, and nothing in it earns points.
        """
        open_tests = {cell.id: key for cell in self.material.cells if (key := _key(cell)) in self.heard.undecided}
        told = Heard(seconds=self.heard.seconds)
        if open_tests and not self._out_of_time():
            self.attempt.run(self._beside(open_tests.keys()), self.student_job, told)
        for key in open_tests.values():
            found, test = told.results.get(key), self.heard.results[key]
            if found is None or found.outcome == "manual":
                why = WAITS if found else _NOT_FOUND_OUT
                self.heard.results[key] = msgspec.structs.replace(
                    test, outcome="manual", message=f"{test.message}{why}"
                )

    def result(self) -> NotebookResult:
        """Return what came of it all."""
        self._explain()
        self._name_mistakes()
        tests = [self.heard.results[key] for key in map(_key, self.material.cells) if key in self.heard.results]
        heard = self.heard
        repairs = list(self.job.notebook.notes)
        return NotebookResult(
            self.material.name, self.verdict, tests, heard.runs, self.detail, self.notes, repairs, heard.crowded
        )

    def _remaining(self) -> JudgeJob:
        done = {cell.id for cell in self.material.cells if _key(cell) in self.heard.results}
        return msgspec.structs.replace(self.job, skip=frozenset(done | self.stopped.keys()), late=frozenset(self.late))

    def _shown_after_hidden(self) -> set[str]:
        """Return the cells of the student's own that showed something after the place of the first hidden test."""
        hidden = {name for name, cell in self.cells.items() if cell.hidden}
        later = dropwhile(lambda step: step.cell not in hidden, self.job.notebook.steps)
        own = {step.cell for step in later if step.kind != "test" and not self._is_as_released(step)}
        return {name for name in own if name in self.heard.runs and self.heard.runs[name].outputs}

    def _is_as_released(self, step: Step) -> bool:
        return step.cell in self.cells and step.source == self.cells[step.cell].source

    def _is_half_seen(self, cell: Cell) -> bool:
        """Return whether a test failed of which students have a part."""
        failed = _key(cell) in self.heard.results and self.heard.results[_key(cell)].outcome == "failed"
        return failed and cell.id not in self.ended and _is_seen(cell)

    def _as_released(self, wanted: Set[str]) -> JudgeJob:
        """Return the job of running the notebook as students have it, up to the last test that needs other words."""
        unseen = {cell.id for cell in self.material.cells if cell.hidden and not _is_seen(cell)}
        skip = frozenset(unseen | self.ended | self.stopped.keys())
        return msgspec.structs.replace(self.job, notebook=self._up_to(wanted), skip=skip, as_released=True)

    def _beside(self, wanted: Set[str]) -> JudgeJob:
        """Return the job of running the notebook once more, up to the last test that is to run beside the answer."""
        skip = frozenset(self.ended | self.stopped.keys())
        return msgspec.structs.replace(self.job, notebook=self._up_to(wanted), skip=skip, beside=True)

    def _up_to(self, wanted: Set[str]) -> CanonicalNotebook:
        steps = list(dropwhile(lambda step: step.cell not in wanted, reversed(self.job.notebook.steps)))
        return msgspec.structs.replace(self.job.notebook, steps=tuple(reversed(steps)))

    def _take_words(self, cell: Cell, bounded: str, clean: Heard) -> None:
        """Let a test say what it says in the clean attempt; where it ends otherwise there, what is ``bounded``."""
        test, again = self.heard.results[_key(cell)], clean.results.get(_key(cell))
        if again is None or again.outcome != test.outcome or _key(cell) in clean.bounded:
            if not bounded:
                return
            again, run = msgspec.structs.replace(test, message=bounded, said=""), CellRun(error=bounded)
        else:
            run = clean.runs.get(cell.id, CellRun()) if bounded else CellRun(error=again.message)
        self.heard.results[_key(cell)] = msgspec.structs.replace(test, message=again.message, said=again.said)
        self.heard.mistakes[_key(cell)] = clean.mistakes.get(_key(cell), [])
        if cell.id in self.heard.runs:
            self.heard.runs[cell.id] = run

    def _out_of_time(self) -> bool:
        return self.heard.seconds >= self.supervisor.limits.submission_seconds

    def _goes_on(self, ending: Ending) -> bool:
        """Blame a step where one is to blame; tell whether another attempt is worth while."""
        step = self.heard.step
        self.tries[step] += 1
        if ending.cause == "ours" or not step:
            return self._tries_again(step, ending)
        if ending.cause == "unclear" and step in self.cells and self.cells[step].hidden:
            self._leave_to_a_person(self.cells[step], ending)
            return True
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
            self.ended.add(step)
            self.late |= {step} if ending.verdict == "time limit" else set()
            self.heard.results[_key(cell)] = result_of(self.material, cell, "failed", message=ending.sentence)
        else:
            self.stopped[step] = ending.sentence
            self.heard.runs[step] = CellRun(error=ending.sentence)

    def _leave_to_a_person(self, cell: Cell, ending: Ending) -> None:
        """Run a hidden test no second time, which the answer may have learnt; who ended the process is not known."""
        self.ended.add(cell.id)
        self.notes.append(f"{cell.id} was not run again, as it is hidden: {ending.sentence}")
        message = f"{ending.sentence}{_KILLED}"
        self.heard.results[_key(cell)] = result_of(self.material, cell, "manual", message=message)

    def _fill(self, why: str) -> None:
        """Record a result for every graded cell that had no turn."""
        for cell in self.material.cells:
            if _is_graded(cell) and _key(cell) not in self.heard.results:
                outcome: Outcome = "failed" if cell.kind == "test" else "manual"
                self.heard.results[_key(cell)] = result_of(self.material, cell, outcome, message=_last_line(why))

    def _note_breaches(self) -> None:
        """Let the verdict name the limit behind an error that the kernel gave."""
        failed = [test.message for test in self.heard.results.values() if test.outcome == "failed"]
        for said in (*failed, *(run.error for run in self.heard.runs.values())):
            if breach := breach_in(said, self.supervisor.limits):
                self._note_breach(breach)

    def _explain(self) -> None:
        """Name the limit behind an error that the kernel gave, and the stopped cell behind a name that is missing."""
        for key, test in self.heard.results.items():
            if test.outcome == "failed" and (breach := breach_in(test.message, self.supervisor.limits)):
                self.heard.results[key] = _with(test, f"{breach.sentence} ({test.message})")
            elif test.outcome == "failed" and self.stopped and "is not defined" in test.message:
                cell = self._stopped_before(key)
                self.heard.results[key] = _with(
                    test, f"{self.stopped[cell]} ({test.message})" if cell else test.message
                )
            elif test.message.endswith(UNMADE) and (why := self._no_python(test.exercise)):
                self.heard.results[key] = _with(test, f"{test.exercise} is not there: its cell is not Python ({why})")

    def _no_python(self, exercise: str) -> str:
        """Return what keeps the cell of an answer from being Python: it is about the student's own text alone."""
        cells = {cell.id for cell in self.material.cells if f"def {exercise}(" in cell.reference}
        return next((why for step in self.job.notebook.steps if step.cell in cells and (why := fault(step.source))), "")

    def _name_mistakes(self) -> None:
        """Name the mistake of each exercise in those of its failed tests that it explains.

        What else was said of the answer is left out then.
        """
        failed: dict[str, list[str]] = {}
        for key, test in self.heard.results.items():
            if test.outcome == "failed":
                failed.setdefault(test.exercise, []).append(key)
        for keys in failed.values():
            mistake = commonest([self.heard.mistakes.get(key, []) for key in keys])
            for key in keys if mistake else ():
                self.heard.results[key] = msgspec.structs.replace(self.heard.results[key], said="")
                if mistake in (self.heard.mistakes.get(key) or ()):
                    self.heard.results[key] = msgspec.structs.replace(self.heard.results[key], mistake_id=mistake)

    def _stopped_before(self, key: str) -> str:
        """Return the last stopped cell before a test, "" where there is none."""
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
    return NotebookResult(material.name, verdict, tests, detail=message, repairs=list(notebook.notes))


def _is_graded(cell: Cell) -> bool:
    return cell.kind == "test" or cell.graded


def _is_seen(cell: Cell) -> bool:
    """Return whether students have a part of a hidden test."""
    return cell.hidden and bool(cell.released.strip()) and not cell.test


def _key(cell: Cell) -> str:
    return cell.grade_id or cell.id


def _with(test: TestResult, message: str) -> TestResult:
    return msgspec.structs.replace(test, message=message)


def _last_line(text: str) -> str:
    return text.strip().rpartition("\n")[2]
