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
    """Do work that tells a notebook, then events; stop it if an edition exceeds its budget."""
    job, notebook, ended = Job(work, folder / "events", folder), "", ""
    found: dict[tuple[str, str], Event] = {}  # the end of each cell, if it got there
    with Program(job, variables) as child:
        edition, since = "", 0.0
        for told in follow(child, job.events, _told):
            if isinstance(told, str):
                notebook = told
            elif told:
                found[told.edition, told.cell] = told
            now = time.monotonic() - waited(child.pid)
            if not since or (told and not isinstance(told, str) and told.edition != edition):
                edition, since = told.edition if isinstance(told, Event) else "", now
            limit = budget.lesson + 2 if edition else _IMPORTS
            if now - since > limit:
                ended = f"was stopped after {limit:g} s"
                break
        else:
            if code := child.poll():
                last = child.last_words()
                ended = f"ended with exit code {code}{': ' + last if last else ''}"
    return LessonRun(notebook, list(found.values()), ended)
