"""One result of several passes: what counts, and what students are shown."""

from collections.abc import Sequence
from functools import reduce

import msgspec
from studium.exercises.naming import commonest
from studium.exercises.syntax import fault

from studium_graders.course.limits import Limits
from studium_graders.engine.judge.events import Planned
from studium_graders.engine.judge.judge_job import Recorded
from studium_graders.engine.judge.verdicts import NOT_YET, REVIEW, UNMADE, result_of
from studium_graders.engine.material.assignment import CanonicalNotebook, Cell, NotebookMaterial
from studium_graders.engine.material.results import CellRun, NotebookResult, Outcome, TestResult, Verdict
from studium_graders.engine.processes.endings import breach_in
from studium_graders.engine.supervision.passes import Ended, Kind, Pass

_KILLED = "; it may have been ended from outside, so a person will mark what fails"


class Combining:
    """The passes over one notebook, in their order, and the results by grade id."""

    def __init__(
        self,
        material: NotebookMaterial,
        notebook: CanonicalNotebook,
        passes: Sequence[Pass],
        ended: Ended,
        limits: Limits,
    ) -> None:
        self.material, self.notebook, self.passes, self.ended, self.limits = material, notebook, passes, ended, limits
        self.by_kind = {one.kind: one for one in passes}
        self.plan = passes[0].heard.plan or Planned({}, frozenset())
        self.mistakes: dict[str, list[str] | None] = {}
        self.results: dict[str, TestResult] = {}

    def recorded(self) -> Recorded:
        """Return what the code needed in all passes together."""
        return reduce(Recorded.and_then, (one.heard.recorded for one in self.passes))

    def result(self) -> NotebookResult:
        """Return what came of it all."""
        for cell in filter(is_graded, self.material.cells):
            self.results[_key(cell)] = self._of_test(cell) if cell.kind == "test" else self._by_hand(cell)
        runs = self._runs()
        verdict, detail = self._verdict(runs)
        self._explain()
        self._never_written()
        self._name_mistakes()
        self._leave_to_a_person()
        notes = [note for one in self.passes for note in one.notes]
        crowded = any(one.heard.crowded for one in self.passes)
        tests = [self.results[_key(cell)] for cell in self.material.cells if _key(cell) in self.results]
        repairs = list(self.notebook.notes)
        return NotebookResult(self.material.name, verdict, tests, runs, detail, notes, repairs, crowded)

    # ------------------------------------------------------------------------------------------------ single results

    def _by_hand(self, cell: Cell) -> TestResult:
        given = (one.heard.results.get(_key(cell)) for one in self.passes)
        return next(filter(None, given), None) or result_of(self.material, cell, "manual", message=self._why())

    def _of_test(self, cell: Cell) -> TestResult:
        """Return what a test gave in the pass in which it counts; one that is hidden in part has spoken before."""
        counting = self._pass(cell, released=not self._is_late(cell))
        found = counting.heard.results.get(_key(cell)) if counting else None
        if counting is None or found is None:
            return self._without_turn(cell)
        self.mistakes[_key(cell)] = counting.heard.mistakes.get(_key(cell), [])
        earlier = self._pass(cell, released=True)
        spoken = earlier.heard.results.get(_key(cell)) if cell.hidden and earlier else None
        if earlier is None or spoken is None or spoken.outcome != found.outcome:
            return found
        self.mistakes[_key(cell)] = earlier.heard.mistakes.get(_key(cell), [])
        return msgspec.structs.replace(found, message=spoken.message, said=spoken.said)

    def _without_turn(self, cell: Cell) -> TestResult:
        outcome: Outcome = "failed"
        message = self.ended.tests.get(cell.id, self._why())
        if cell.id in self.ended.unclear:
            outcome, message = "review", f"{message}; {REVIEW}"
        return result_of(self.material, cell, outcome, message=message, reason=self.plan.reasons.get(cell.id, ""))

    def _pass(self, cell: Cell, *, released: bool) -> Pass | None:
        return self.by_kind.get(Kind(released, self.plan.how(cell.id)))

    def _is_late(self, cell: Cell) -> bool:
        return cell.hidden or cell.id in self.plan.late

    def _why(self) -> str:
        return next((one.why for one in self.passes if one.why), "")

    # ------------------------------------------------------------------------------------------------ what is shown

    def _runs(self) -> dict[str, CellRun]:
        """Return what cells showed in the first pass that ran them, and each test where it may be shown."""
        first = next((one for one in self.passes if one.heard.runs), self.passes[0])
        tests = {cell.id: cell for cell in self.material.cells if cell.kind == "test"}
        runs = {name: run for name, run in first.heard.runs.items() if name not in tests}
        runs |= {name: CellRun(error=sentence) for name, sentence in self.ended.cells.items()}
        for name, cell in tests.items():
            own = self._pass(cell, released=not self._is_late(cell))
            if own and name in own.heard.runs:
                said = CellRun(error=self.results[_key(cell)].message)
                runs[name] = said if self._is_late(cell) else own.heard.runs[name]
        return runs

    def _verdict(self, runs: dict[str, CellRun]) -> tuple[Verdict, str]:
        """Return why the notebook ended: our fault, the first limit, or one behind an error that the kernel gave."""
        for one in (*(one for one in self.passes if one.verdict == "engine error"), *self.passes):
            if one.verdict != "graded":
                return one.verdict, one.detail
        failed = [test.message for test in self.results.values() if test.outcome == "failed"]
        said = (breach_in(text, self.limits) for text in (*failed, *(run.error for run in runs.values())))
        breach = next(filter(None, said), None)
        return (breach.verdict, breach.sentence) if breach else ("graded", self.passes[0].detail)

    def _explain(self) -> None:
        """Name the limit behind an error that the kernel gave, and the stopped cell behind a name that is missing."""
        for key, test in self.results.items():
            if test.outcome == "failed" and (breach := breach_in(test.message, self.limits)):
                self.results[key] = _with(test, f"{breach.sentence} ({test.message})")
            elif test.outcome == "failed" and self.ended.cells and "is not defined" in test.message:
                cell = self._stopped_before(key)
                self.results[key] = _with(test, f"{self.ended.cells[cell]} ({test.message})" if cell else test.message)
            elif test.message.endswith(UNMADE) and (why := self._no_python(test.exercise)):
                self.results[key] = _with(test, f"{test.exercise} is not there: its cell is not Python ({why})")

    def _no_python(self, exercise: str) -> str:
        """Return what keeps the cell of an answer from being Python: it is about the student's own text alone."""
        cells = {cell.id for cell in self.material.cells if f"def {exercise}(" in cell.reference}
        return next((why for step in self.notebook.steps if step.cell in cells and (why := fault(step.source))), "")

    def _stopped_before(self, key: str) -> str:
        """Return the last stopped cell before a test, "" where there is none."""
        cells = {cell.id: _key(cell) for cell in self.material.cells}
        last = ""
        for step in self.notebook.steps:
            last = step.cell if step.cell in self.ended.cells else last
            if cells.get(step.cell) == key:
                break
        return last

    # ------------------------------------------------------------------------------------------------ whole exercises

    def _never_written(self) -> None:
        """Correct the results of exercises in which every test met NotImplementedError: nobody has begun them."""
        unwritten = {key for one in self.passes for key in one.heard.unwritten}
        exercises: dict[tuple[str, str], set[str]] = {}
        for cell in self.material.cells:
            if cell.kind == "test":
                exercises.setdefault((cell.topic, cell.exercise), set()).add(_key(cell))
        for keys in exercises.values():
            for key in keys if keys <= unwritten else ():
                self.results[key] = _with(self.results[key], NOT_YET, "not attempted")

    def _name_mistakes(self) -> None:
        """Name the mistake of each exercise in those of its failed tests that it explains.

        That of the visible tests is found without the hidden ones. What else was said of the answer is left out then.
        """
        failed: dict[tuple[str, bool], list[str]] = {}
        for key, test in self.results.items():
            if test.outcome == "failed":
                failed.setdefault((test.exercise, test.hidden), []).append(key)
        for keys in failed.values():
            mistake = commonest([self.mistakes.get(key, []) for key in keys])
            for key in keys if mistake else ():
                self.results[key] = msgspec.structs.replace(self.results[key], said="")
                if mistake in (self.mistakes.get(key) or ()):
                    self.results[key] = msgspec.structs.replace(self.results[key], mistake_id=mistake)

    def _leave_to_a_person(self) -> None:
        """Take no mark for what is missing because a cell may have been ended from outside."""
        if self.ended.unclear & self.ended.cells.keys():
            for key, test in self.results.items():
                if test.outcome == "failed":
                    self.results[key] = _with(test, f"{test.message}{_KILLED}", "review")


def is_graded(cell: Cell) -> bool:
    """Return whether a cell has a result."""
    return cell.kind == "test" or cell.graded


def _key(cell: Cell) -> str:
    return cell.grade_id or cell.id


def _with(test: TestResult, message: str, outcome: Outcome | None = None) -> TestResult:
    return msgspec.structs.replace(test, message=message, outcome=outcome or test.outcome)
