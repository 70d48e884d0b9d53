"""Check a notebook in a clean process, exercise by exercise, with a time limit for each.

This keeps the check away from the learner's kernel, screen and memory. It is not a sandbox: for marks, see the graders.
"""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import msgspec
from nbformat import NotebookNode

from studium.catalogue.catalogue import Catalogue, load_catalogue
from studium.desk.check_process import Event, Request
from studium.desk.describing import description_of
from studium.desk.description import Description
from studium.errors import StudiumError
from studium.exercises.checking import ExerciseResult, untested
from studium.notebooks.editions import Edition, exercise_of
from studium.notebooks.files import cells_to_run, read_notebook, slug_in
from studium.notebooks.needed_cells import CodeCell
from studium.topics.profiles import VARIABLE, available_mb

_POLL = 0.02
_START_SECONDS = 30.0  # importing torch cold may take a while


class CancelledError(StudiumError):
    """The check was stopped on request."""


class NotebookResult(msgspec.Struct, frozen=True):
    """The results of all requested exercises, in the lesson's order.

    ``differences`` shows the arrays that differ, by exercise and MIME type, if requested.
    """

    exercises: list[ExerciseResult]
    differences: dict[str, dict[str, Any]] = {}


class Child(Protocol):
    """A process that carries out a request."""

    def poll(self) -> int | None:
        """Return the exit code, or None while it is running."""

    def kill(self) -> None:
        """End the process, and wait until it has ended."""


Launch = Callable[[Request, Path], Child]


@dataclass(frozen=True)
class Terms:
    """The terms on which a check runs.

    ``limit`` is the most seconds that one cell or exercise may take; ``memory_mb`` is what the process may take (None:
    whatever is free here); ``launch`` starts a process. ``watch`` is called with the name of each exercise when its
    turn comes and the moment (of ``time.monotonic``) when its time is up; ``stopped`` is asked whether to stop. With
    ``differences``, arrays that differ are shown too.
    """

    limit: float = 60.0
    memory_mb: float | None = None
    launch: "Launch | None" = None
    watch: Callable[[str, float], None] = lambda name, deadline: None
    stopped: Callable[[], bool] = lambda: False
    differences: bool = False


def check_notebook(path: Path, exercise: str | None = None, terms: Terms | None = None) -> NotebookResult:
    """Check a notebook on disk.

    Raise NotebookError for a file that is not a notebook, UnknownNameError for an unknown topic or exercise.
    """
    return check_document(read_notebook(path), path, exercise, terms or Terms(), load_catalogue())


def check_document(
    notebook: NotebookNode, path: Path, exercise: str | None, terms: Terms, catalogue: Catalogue
) -> NotebookResult:
    """Check a notebook that need not be saved; ``path`` is where it belongs.

    Raise CancelledError if the check was stopped.
    """
    topic = description_of(catalogue, slug_in(notebook, path))
    wanted = [topic.exercise(exercise).id] if exercise else _exercises(notebook, topic)
    cells = cells_to_run(notebook, topic.slug, [item.id for item in topic.exercises], wanted)
    batch = _Batch(topic, cells, path.resolve().parent, terms)
    return NotebookResult(batch.results(wanted), batch.differences)


def _exercises(notebook: NotebookNode, topic: Description) -> list[str]:
    """Return the topic's exercises; for an assignment, those that it hands out."""
    names = [item.id for item in topic.exercises]
    if notebook.metadata.get("studium", {}).get("edition") != Edition.ASSIGNMENT:
        return names
    there = {exercise_of(cell) for cell in notebook.cells}
    return [name for name in names if name in there] or names


class _Batch:
    """Runs child processes until every exercise has a result, skipping what made an earlier child hang or crash."""

    def __init__(self, topic: Description, cells: list[CodeCell], folder: Path, terms: Terms) -> None:
        self.topic, self.cells, self.folder, self.terms = topic, cells, folder, terms
        self.memory = available_mb() if terms.memory_mb is None else terms.memory_mb
        self.found: dict[str, ExerciseResult] = {}
        self.differences: dict[str, dict[str, Any]] = {}

    def results(self, wanted: list[str]) -> list[ExerciseResult]:
        while missing := [name for name in wanted if name not in self.found]:
            with tempfile.TemporaryDirectory(prefix="studium-", ignore_cleanup_errors=True) as scratch:
                asked = Request(self.topic.slug, self.cells, missing, scratch, self.memory, self.terms.differences)
                self._run(asked)
        return [self.found[name] for name in wanted]

    def _run(self, request: Request) -> None:
        last = Event()
        for event in _events(request, self.folder, self.terms):
            if event.result:
                self.found[event.exercise] = event.result
                self.differences |= {event.exercise: event.difference} if event.difference else {}
            last = event
        if all(name in self.found for name in request.exercises):
            return
        self._blame(last, request)

    def _blame(self, last: Event, request: Request) -> None:
        """Attribute a child's early end to its last event, so the next child gets further."""
        missing = [name for name in request.exercises if name not in self.found]
        if last.cell is None:
            culprit = last.exercise if last.exercise in missing else missing[0]
        else:
            culprit = self.cells.pop(last.cell).exercise
        if culprit in missing:
            known = self.topic.exercise(culprit)
            self.found[culprit] = untested(culprit, known.max_points, known.tests, last.ending)


def _events(request: Request, folder: Path, terms: Terms) -> Iterator[Event]:
    """Run one child and yield its events; the last one tells how an unfinished child ended."""
    request.events.touch()
    with _running(request, folder, terms) as child, request.events.open("rb") as file:
        deadline, last = time.monotonic() + terms.limit + _START_SECONDS, Event()
        while True:
            code = child.poll()
            while line := file.readline():
                last, deadline = msgspec.json.decode(line, type=Event), time.monotonic() + terms.limit
                terms.watch("" if last.result else last.exercise, deadline)
                yield last
            if code is not None:
                break
            if time.monotonic() > deadline:
                yield _ending(last, f"stopped after {terms.limit:g} s; is there an endless loop?")
                return
            if terms.stopped():
                raise CancelledError("the check was stopped; nothing was recorded")
            time.sleep(_POLL)
    if code:
        yield _ending(last, f"the process ended early (exit code {code})")


def _ending(last: Event, why: str) -> Event:
    return msgspec.structs.replace(last, result=None, ending=why)


@contextlib.contextmanager
def _running(request: Request, folder: Path, terms: Terms) -> Iterator[Child]:
    child = (terms.launch or launch_cold)(request, folder)
    try:
        yield child
    finally:
        child.kill()


class _Cold:
    """A process started for a single request."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process
        self.poll = process.poll

    def kill(self) -> None:
        if hasattr(os, "killpg"):  # and everything it has started
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()
        self._process.wait()


def environment() -> dict[str, str]:
    """Return the environment of a checking process: one thread, because the learner's kernel may be training."""
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return os.environ | one | {VARIABLE: "smoke"}


def launch_cold(request: Request, folder: Path) -> Child:
    """Start a new process; it takes the seconds that importing torch takes."""
    process = subprocess.Popen(
        [sys.executable, "-m", "studium.desk.check_process"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=folder,
        env=environment(),
        start_new_session=True,
    )
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError), process.stdin:  # it ended at once, which is noticed when waiting for it
        process.stdin.write(msgspec.json.encode(request))
    return _Cold(process)
