"""Run a lesson in a clean process, within the time and memory that its profile allows."""

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec

from studium.authoring.lesson_process import Event, run, waited
from studium.desk import places
from studium.topics.profiles import LAPTOP_MB, VARIABLE, Name, Profile
from studium.workers.job import Job, Tell, follow
from studium.workers.program import ONE_THREAD, Program


@dataclass(frozen=True)
class Budget:
    """A lesson's limits: seconds for all its cells, seconds for one cell, and resident memory in MB."""

    lesson: float
    cell: float
    memory_mb: float


BUDGETS: dict[Name, Budget] = {
    "smoke": Budget(lesson=30, cell=30, memory_mb=LAPTOP_MB),
    "laptop": Budget(lesson=600, cell=90, memory_mb=LAPTOP_MB),
    "gpu": Budget(lesson=1800, cell=600, memory_mb=16_000),
}
_IMPORTS = 300  # seconds until the first cell: a cold import of torch on a busy machine
_told = msgspec.msgpack.Decoder(str | Event)


@dataclass(frozen=True)
class LessonRun:
    """The lesson as the other process built it, and its cells in order; the last one may be unfinished."""

    notebook: str
    events: list[Event]
    ended: str

    @property
    def seconds(self) -> float:
        """The time that the lesson's cells took, without the imports before them."""
        return sum(event.seconds for event in self.events if event.edition == "lesson")

    @property
    def peak_mb(self) -> float:
        """The most resident memory that the process used."""
        return max((event.peak_mb for event in self.events), default=0.0)


def run_lesson(slug: str, profile: Profile) -> LessonRun:
    """Run the lesson as handed out, then with every exercise solved but without its experiments."""
    with tempfile.TemporaryDirectory(prefix="studium-") as scratch:
        nobody = {places.VARIABLE: scratch}  # what its check cells find must not go into anybody's progress
        figures = {"PLOTLY_RENDERER": "plotly_mimetype"}  # only their data, without a copy of plotly.js each
        variables = nobody | figures | ONE_THREAD | {VARIABLE: profile.name}
        return run_within(BUDGETS[profile.name], partial(run, slug), Path(scratch), variables)


def run_within(budget: Budget, work: Callable[[Tell], object], folder: Path, variables: dict[str, str]) -> LessonRun:
    """Do work that tells a notebook and then events; stop it if an edition exceeds its budget."""
    job, notebook, ended = Job(work, folder / "events", folder), "", ""
    found: dict[tuple[str, str], Event] = {}  # the end of each cell, if it got there
    with Program(job, variables) as child:
        clock = _Clock(budget, child.pid)
        for told in follow(child, job.events, _told):
            if isinstance(told, str):
                notebook = told
            elif told:
                found[told.edition, told.cell] = told
                clock.enter(told.edition)
            if ended := clock.over():
                break
        else:
            if code := child.poll():
                last = child.last_words()
                ended = f"ended with exit code {code}{': ' + last if last else ''}"
    return LessonRun(notebook, list(found.values()), ended)


class _Clock:
    """The time of an edition, without the time for which others had the processor."""

    def __init__(self, budget: Budget, pid: int) -> None:
        self._budget, self._pid = budget, pid
        self._edition, self._since = "", self._now()

    def enter(self, edition: str) -> None:
        if edition != self._edition:
            self._edition, self._since = edition, self._now()

    def over(self) -> str:
        """Report an edition that has exceeded its budget, otherwise return ""."""
        limit = self._budget.lesson + 2 if self._edition else _IMPORTS
        return f"was stopped after {limit:g} s" if self._now() - self._since > limit else ""

    def _now(self) -> float:
        return time.monotonic() - waited(self._pid)
