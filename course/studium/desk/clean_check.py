"""Check a notebook in a clean process, exercise by exercise, with a time limit for each.

This keeps the check away from the learner's kernel, screen and memory. It is not a sandbox: for marks, see the graders.
"""

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from nbformat import NotebookNode

from studium.catalogue.catalogue import Catalogue, load_catalogue
from studium.desk.check_process import Event, Request, run
from studium.desk.describing import description_of
from studium.desk.description import Description
from studium.errors import StudiumError
from studium.exercises.checking import ExerciseResult, untested
from studium.notebooks.editions import Edition, exercise_of
from studium.notebooks.files import cells_to_run, read_notebook, slug_in
from studium.notebooks.needed_cells import CodeCell
from studium.topics.profiles import VARIABLE, available_mb
from studium.workers.job import Job, Worker, follow
from studium.workers.program import ONE_THREAD, Program

_START_SECONDS = 30.0  # importing torch cold may take a while


class CancelledError(StudiumError):
    """The check was stopped on request."""


class NotebookResult(msgspec.Struct, frozen=True):
    """The results of all requested exercises, in the lesson's order.

    ``differences`` shows the arrays that differ, by exercise and MIME type, if requested.
    """

    exercises: list[ExerciseResult]
    differences: dict[str, dict[str, Any]] = {}


Launch = Callable[[Request, Path], Worker]
_events_of = msgspec.msgpack.Decoder(Event)


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
    with (terms.launch or launch_cold)(request, folder) as child:
        deadline, last = time.monotonic() + terms.limit + _START_SECONDS, Event()
        for event in follow(child, request.events, _events_of):
            if event:
                last, deadline = event, time.monotonic() + terms.limit
                terms.watch("" if last.result else last.exercise, deadline)
                yield last
            elif time.monotonic() > deadline:
                yield _ending(last, f"stopped after {terms.limit:g} s; is there an endless loop?")
                return
            elif terms.stopped():
                raise CancelledError("the check was stopped; nothing was recorded")
        if code := child.poll():
            yield _ending(last, f"the process ended early (exit code {code})")


def _ending(last: Event, why: str) -> Event:
    return msgspec.structs.replace(last, result=None, ending=why)


def environment() -> dict[str, str]:
    """Return what a checking process's environment has of its own: one thread, as the learner's kernel may train."""
    return ONE_THREAD | {VARIABLE: "smoke"}


def job_of(request: Request, folder: Path) -> Job:
    """Return a request as a job for a worker in a folder."""
    return Job(partial(run, request), request.events, folder)


def launch_cold(request: Request, folder: Path) -> Worker:
    """Start a new process; it takes the seconds that importing torch takes."""
    return Program(job_of(request, folder), environment())
