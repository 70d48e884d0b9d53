"""Run a lesson in a clean process, within the time and memory that its profile allows."""

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec

from studium.authoring.lesson_process import Event, waited
from studium.desk import places
from studium.topics.profiles import LAPTOP_MB, VARIABLE, Name, Profile


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
