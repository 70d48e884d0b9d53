"""One pass over a notebook: attempts with new processes, until every step has had its turn.

A step that ends the student's process fails, and the next attempt leaves it out. Only what we did is tried again.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple, get_args

import msgspec

from studium_graders.course.limits import Limits
from studium_graders.engine.judge.events import How
from studium_graders.engine.judge.judge_job import JudgeJob
from studium_graders.engine.material.assignment import NotebookMaterial
from studium_graders.engine.material.results import Verdict
from studium_graders.engine.processes.endings import Ending, out_of_time
from studium_graders.engine.student_side.student_job import StudentJob
from studium_graders.engine.supervision.attempt import Attempt, Heard

_TRIES = 3  # for a step at which our own processes end
_NOT_JUDGED = "this test could not be judged on your answer"


class Kind(NamedTuple):
    """Which of the passes: over the notebook as released or with its hidden tests, and how these run."""

    released: bool
    how: How


ORDER = tuple(Kind(released, how) for released in (True, False) for how in get_args(How))


@dataclass
class Ended:
    """The steps that ended a student's process, each with a sentence: all that goes from one pass to the next.

    ``slow`` are tests that were stopped for their time, ``unclear`` steps that may have been ended from outside.
    """

    cells: dict[str, str] = field(default_factory=dict)
    tests: dict[str, str] = field(default_factory=dict)
    slow: set[str] = field(default_factory=set)
    unclear: set[str] = field(default_factory=set)


class Pass:
    """One pass, and what it brought. ``why`` is why tests had no turn, ``verdict`` the limit that was met first."""

    def __init__(self, kind: Kind, material: NotebookMaterial, attempt: Attempt, ended: Ended, spent: float) -> None:
        self.kind, self.attempt, self.ended = kind, attempt, ended
        self.tests = {cell.id: cell.grade_id or cell.id for cell in material.cells if cell.kind == "test"}
        self.heard = Heard(seconds=spent)
        self.notes: list[str] = []
        self.verdict: Verdict = "graded"
        self.detail = self.why = ""
        self._tries: Counter[str] = Counter()

    def run(self, job: JudgeJob, student_job: StudentJob, limits: Limits) -> None:
        """Make attempts until the pass is done or its time is over."""
        while self.heard.seconds < limits.submission_seconds:
            ending = self.attempt.run(self._remaining(job), student_job, self.heard)
            if not ending or not self._goes_on(ending):
                break
        else:
            ending = out_of_time(limits.submission_seconds)
            self.note_breach(ending)
        self.why = last_line(ending.sentence) if ending else ""

    def note_breach(self, ending: Ending) -> None:
        """Let the verdict name a limit, if it names none yet."""
        if self.verdict == "graded":
            self.verdict, self.detail = ending.verdict, ending.sentence

    def _remaining(self, job: JudgeJob) -> JudgeJob:
        return msgspec.structs.replace(
            job,
            released=self.kind.released,
            how=self.kind.how,
            skip=frozenset(self.ended.cells.keys() | self.ended.tests.keys()),
            slow=frozenset(self.ended.slow),
            done=frozenset(name for name, key in self.tests.items() if key in self.heard.results),
        )

    def _goes_on(self, ending: Ending) -> bool:
        """Blame a step where one is to blame; tell whether another attempt is worth while."""
        step = self.heard.step
        if step and ending.cause != "ours":
            self._blame(step, ending)
            return True
        self._tries[step] += 1
        if self._tries[step] < _TRIES:
            self.notes.append(f"{step or 'the start'} was run again: {last_line(ending.sentence)}")
            return True
        self.notes.append(ending.sentence)
        if step in self.tests:
            self._blame(step, Ending("graded", _NOT_JUDGED, "unclear"))
            return True
        self.verdict, self.detail = "engine error", last_line(ending.sentence)
        return False

    def _blame(self, step: str, ending: Ending) -> None:
        self.note_breach(ending)
        (self.ended.tests if step in self.tests else self.ended.cells)[step] = ending.sentence
        if ending.cause == "unclear":
            self.ended.unclear.add(step)
        if step in self.tests and ending.verdict == "time limit":
            self.ended.slow.add(step)


def last_line(text: str) -> str:
    """Return the last line of a sentence or a traceback."""
    return text.strip().rpartition("\n")[2]
