"""Run a lesson in a clean process, within the time and memory that its profile allows."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from studium.authoring.findings import Finding
from studium.authoring.lesson_process import Event, waited
from studium.authoring.subject import Subject
from studium.desk import places
from studium.profiles import LAPTOP_MB, VARIABLE, Name, Profile


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
# On a busy machine a second thread slows a cell down many times, and the time that a lesson takes becomes luck.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
_IMPORTS = 300  # seconds until the first cell: a cold import of torch on a busy machine


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
        path = Path(scratch) / "events"
        path.touch()
        with (Path(scratch) / "errors").open("w+b") as errors:
            command = [sys.executable, "-m", "studium.authoring.lesson_process", slug, str(path)]
            nobody = {places.VARIABLE: scratch}  # what its check cells find must not go into anybody's progress
            figures = {"PLOTLY_RENDERER": "plotly_mimetype"}  # only their data, without a copy of plotly.js each
            environment = os.environ | nobody | figures | ONE_THREAD | {VARIABLE: profile.name}
            with subprocess.Popen(
                command, cwd=scratch, env=environment, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors
            ) as child:
                ended = _wait(child, path, BUDGETS[profile.name])
            errors.seek(0)
            last = errors.read().decode("utf-8", "replace").strip().splitlines()[-1:]
        if not ended and child.returncode:
            ended = f"ended with exit code {child.returncode}{': ' + last[0] if last else ''}"
        return _read(path, ended)


def _wait(child: "subprocess.Popen[bytes]", path: Path, budget: Budget) -> str:
    """Wait for the child; report if it was stopped because an edition exceeded its budget, otherwise return ""."""
    edition, since = "", time.monotonic() - waited(child.pid)
    while child.poll() is None:
        now = _edition(path)
        if now != edition:
            edition, since = now, time.monotonic() - waited(child.pid)
        limit = budget.lesson + 2 if edition else _IMPORTS
        if time.monotonic() - waited(child.pid) - since > limit:
            child.kill()
            return f"was stopped after {limit:g} s"
        time.sleep(0.1)
    return ""


def _edition(path: Path) -> str:
    """Return the edition of the last cell written down, or "" before the first."""
    lines = path.read_bytes().split(b"\n")[1:-1]
    return msgspec.json.decode(lines[-1], type=Event).edition if lines else ""


def _read(path: Path, ended: str) -> LessonRun:
    lines = [line for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
    if not lines:
        return LessonRun("", [], ended)
    events = [msgspec.json.decode(line, type=Event) for line in lines[1:]]
    last = {(event.edition, event.cell): event for event in events}  # the end of the cell, if it got there
    return LessonRun(msgspec.json.decode(lines[0], type=str), list(last.values()), ended)


def lesson(subject: Subject) -> Finding:
    """Check that the lesson runs before anything is solved, that every check passes once it is, and that it stays in
    budget.
    """
    run, budget = subject.lesson_run, BUDGETS[subject.profile.name]
    summary = f"runs in {run.seconds:.1f} s with at most {run.peak_mb:.0f} MB at {subject.profile.name}"
    return Finding(
        list(_problems(run, budget, subject.profile, subject.place)),
        f"{summary} ({budget.lesson:g} s, {budget.memory_mb:g} MB)",
    )


def _what_to_do(problem: str) -> str:
    if problem.startswith("NotImplementedError"):
        return "it calls an answer that is not written yet; wrap the name in lesson.mine(…) there"
    return f"{problem}; correct it"


def _problems(run: LessonRun, budget: Budget, profile: Profile, place: Callable[[str], str]) -> Iterator[str]:
    if run.ended:
        edition = run.events[-1].edition if run.events else "lesson"
        where = f", in {place(run.events[-1].cell)}" if run.events else ""
        remedy = "make that cell lighter" if "was stopped" in run.ended else "correct it"
        yield (
            f"the {edition} must run to its end in {budget.lesson:g} s at {profile.name}: "
            f"it {run.ended}{where}; {remedy}"
        )
        return
    for event in run.events:
        if event.problem:
            yield f"the {event.edition} must run: {place(event.cell)}: {_what_to_do(event.problem)}"
    slowest = max(run.events, key=lambda event: event.seconds)  # the setup cell is always there
    if run.seconds > budget.lesson:
        yield (
            f"the lesson may take {budget.lesson:g} s at {profile.name}: it took {run.seconds:.0f} s, "
            f"{slowest.seconds:.0f} s of them in {place(slowest.cell)}; make it lighter with profile.choose"
        )
    elif slowest.seconds > budget.cell:
        yield (
            f"a cell may take {budget.cell:g} s at {profile.name}: {place(slowest.cell)} took {slowest.seconds:.0f} s; "
            "make it lighter with profile.choose"
        )
    if run.peak_mb > budget.memory_mb:
        yield (
            f"the lesson may take {budget.memory_mb:g} MB at {profile.name}: it took {run.peak_mb:.0f} MB, reached in "
            f"{place(max(run.events, key=lambda event: event.peak_mb).cell)}; make it lighter with profile.choose"
        )
