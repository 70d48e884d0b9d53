"""Checking a notebook in a clean process, exercise by exercise, with a time limit for each.

This keeps the learner's kernel, screen and memory out of the way. It is no sandbox: for marks, see the graders.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from studium.catalogue import load_catalogue
from studium.check_process import CodeCell, Event, Request
from studium.checking import ExerciseResult, failed
from studium.notebooks import cells_to_run, read_notebook, slug_in
from studium.profiles import VARIABLE
from studium.topic import Topic

_POLL = 0.02


class NotebookResult(msgspec.Struct, frozen=True):
    """The result of every exercise that was asked for, in the lesson's order."""

    exercises: list[ExerciseResult]


def check_notebook(
    path: Path, exercise: str | None = None, *, limit: float = 60.0, watch: Callable[[str], None] = lambda name: None
) -> NotebookResult:
    """Check a notebook; ``limit`` is the longest that one cell or one exercise may take, in seconds.

    ``watch`` is told the name of each exercise when its turn comes. Raise NotebookError for a file that is no notebook,
    UnknownNameError for a topic or exercise that is not there.
    """
    notebook = read_notebook(path)
    topic = load_catalogue()[slug_in(notebook, path)]
    wanted = [topic.exercise(exercise).id] if exercise else list(topic.exercises)
    batch = _Batch(topic, cells_to_run(notebook, topic), path.resolve().parent, limit, watch)
    return NotebookResult(batch.results(wanted))


class _Batch:
    """Runs child processes until every exercise has its result. What hangs or crashes one is left out of the next."""

    def __init__(
        self, topic: Topic, cells: list[CodeCell], folder: Path, limit: float, watch: Callable[[str], None]
    ) -> None:
        self.topic, self.cells, self.folder, self.limit, self.watch = topic, cells, folder, limit, watch
        self.found: dict[str, ExerciseResult] = {}

    def results(self, wanted: list[str]) -> list[ExerciseResult]:
        while missing := [name for name in wanted if name not in self.found]:
            with tempfile.TemporaryDirectory(prefix="studium-") as scratch:
                self._run(Request(self.topic.slug, self.cells, missing, str(Path(scratch) / "events")))
        return [self.found[name] for name in wanted]

    def _run(self, request: Request) -> None:
        last = Event()
        for event in _events(request, self.folder, self.limit):
            if event.result:
                self.found[event.exercise] = event.result
            elif event.exercise:
                self.watch(event.exercise)
            last = event
        if all(name in self.found for name in request.exercises):
            return
        self._blame(last, request)

    def _blame(self, last: Event, request: Request) -> None:
        """Put down to the last event why a child ended early, so that the next child gets further."""
        missing = [name for name in request.exercises if name not in self.found]
        if last.cell is None:
            culprit = last.exercise if last.exercise in missing else missing[0]
        else:
            culprit = self.cells.pop(last.cell).exercise
        if culprit in missing:
            self.found[culprit] = failed(self.topic.exercises[culprit], last.ending)


def _events(request: Request, folder: Path, limit: float) -> Iterator[Event]:
    """Run one child and give its events; the last one says how an unfinished child ended."""
    events = Path(request.events)
    events.touch()
    with _child(folder) as child, events.open("rb") as file:
        assert child.stdin is not None
        child.stdin.write(msgspec.json.encode(request))
        child.stdin.close()
        deadline, last = time.monotonic() + limit + 30, Event()  # importing torch cold may take its time
        while True:
            ended = child.poll() is not None
            while line := file.readline():
                last, deadline = msgspec.json.decode(line, type=Event), time.monotonic() + limit
                yield last
            if ended:
                break
            if time.monotonic() > deadline:
                child.kill()
                yield msgspec.structs.replace(
                    last, result=None, ending=f"stopped after {limit:g} s; is there an endless loop?"
                )
                return
            time.sleep(_POLL)
    if child.returncode:
        yield msgspec.structs.replace(
            last, result=None, ending=f"the process ended early (exit code {child.returncode})"
        )


def _child(folder: Path) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "studium.check_process"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=folder,
        env=os.environ | {VARIABLE: "smoke"},
    )
