"""What the handlers of one server share: catalogue, store, queue of checks, warm process, events."""

import asyncio
import atexit
import threading
import time
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
from nbformat import NotebookNode

from studium.catalogue.catalogue import Catalogue, load_catalogue
from studium.desk.clean_check import Launch, Terms
from studium.desk.describing import descriptions
from studium.desk.description import Description
from studium.desk.jobs import Job, Jobs, JobState
from studium.desk.journal import Journal
from studium.desk.lesson_file import LessonFile
from studium.desk.store import Store
from studium.desk.syllabus import Desk, ExerciseState, Syllabus, read_syllabus
from studium.desk.zygote import Zygote
from studium.exercises.checking import ExerciseResult, TestResult, shown_failure, with_sentence
from studium.exercises.verdict import Verdict
from studium.notebooks.files import parse_notebook
from studium.server.events import Events

WARM_AFTER = 3.0  # seconds: whatever opens with a lesson comes first


class CheckedExercise(msgspec.Struct, frozen=True):
    """How one exercise came out, its state after that, and the verdict as a cell shows it, by MIME type."""

    id: str
    outcome: str
    points: float
    max_points: float
    mistake: str
    mistake_id: str
    tests: list[TestResult]
    first_failure: TestResult | None
    state: ExerciseState
    output: dict[str, Any]


class Service:
    """The service of one server. Its methods may be called from any thread."""

    def __init__(self, root: Path, loop: asyncio.AbstractEventLoop) -> None:
        self.root = root.expanduser().resolve()
        self.events = Events(loop)
        self.jobs = Jobs(lambda state: self.events.send("job", state))
        self.zygote = Zygote()
        self._lock = threading.RLock()
        atexit.register(self.close)

    def close(self) -> None:
        """End the queue and the warm process."""
        self.jobs.close()
        self.zygote.close()

    @cached_property
    def catalogue(self) -> Catalogue:
        """The topics that were installed on first use."""
        return load_catalogue()

    @cached_property
    def store(self) -> Store:
        """The learner's state."""
        return Store()

    def descriptions(self) -> dict[str, Description]:
        """Describe all topics; the first call may take seconds."""
        with self._lock:  # two threads at once would do the same work twice
            return descriptions(self.catalogue)

    def journal(self, folder: Path) -> Journal:
        """Return the journal of the workspace that contains a folder."""
        return Journal(self.store, folder)

    def lesson(self, path: Path) -> LessonFile:
        """Open a lesson."""
        return LessonFile(path, self.catalogue, self.store)

    def syllabus(self, folder: str) -> Syllabus:
        """Return the syllabus of a folder."""
        return read_syllabus(self.catalogue, self.descriptions(), self.journal(self.root / folder), self.root, folder)

    def warm_soon(self, slug: str) -> None:
        """Make a topic's first check quick, but not while its lesson is still opening."""

        def warm() -> None:
            time.sleep(WARM_AFTER)
            if self.store_allows_warmth:
                self.zygote.warm(slug)

        threading.Thread(target=warm, name="studium-warm", daemon=True).start()

    @property
    def store_allows_warmth(self) -> bool:
        """Whether the learner's settings let a process stay warm."""
        return self.journal(self.root).settings.warm

    def progress(self, lesson: LessonFile, exercise: str) -> ExerciseState:
        """Return an exercise's state, and send it to all listeners."""
        state = lesson.state(exercise)
        self.tell_progress(lesson.journal.workspace, lesson.slug, state)
        return state

    def tell_progress(self, workspace: str, slug: str | None, state: ExerciseState | None) -> None:
        """Announce progress in a lesson to all listeners; None means many lessons."""
        exercise = state.id if state else None
        self.events.send("progress", {"workspace": workspace, "slug": slug, "exercise": exercise, "state": state})

    def check(self, name: str, path: Path, exercise: str | None, document: Any, limit: float | None) -> JobState:
        """Add a check to the queue. ``document`` is the unsaved notebook, or None for the one on disk."""
        lesson = self.lesson(path)
        notebook = None if document is None else document_of(document, path)
        settings = lesson.journal.settings
        wanted = lesson.description.exercise(exercise).id if exercise else None
        seconds = settings.limit if limit is None else limit

        def work(job: Job) -> list[CheckedExercise]:
            terms = Terms(
                limit=seconds,
                launch=self._launch(lesson),
                watch=lambda doing, deadline: self.jobs.step(job, doing, deadline),
                stopped=job.stop.is_set,
            )
            return self._checked(lesson, lesson.check(wanted, terms, notebook), notebook)

        return self.jobs.add(Job(name, lesson.slug, wanted, seconds, work))

    def difference(self, path: Path, exercise: str, document: Any) -> dict[str, Any]:
        """Return a view of the arrays that differ in an answer of an unsaved notebook, by MIME type."""
        lesson = self.lesson(path)
        terms = Terms(limit=lesson.journal.settings.limit, launch=self._launch(lesson))
        return lesson.difference(exercise, terms, document_of(document, path))

    def _launch(self, lesson: LessonFile) -> Launch | None:
        return self.zygote.launch if lesson.journal.settings.warm else None

    def _checked(
        self, lesson: LessonFile, results: list[ExerciseResult], notebook: NotebookNode | None
    ) -> list[CheckedExercise]:
        desk, found = Desk(lesson.journal), []
        for item in results:
            known = lesson.description.exercise(item.id)
            state = desk.exercise(lesson.slug, known)
            self.tell_progress(lesson.journal.workspace, lesson.slug, state)
            sentence = known.sentence_of(item.mistake_id)
            shown, answer = with_sentence(item, sentence), lesson.answer(item.id, notebook)
            output = Verdict(shown, lesson.slug, public=not known.solution, answer=answer).forms()
            values = (
                item.points,
                item.max_points,
                shown.mistake,
                item.mistake_id,
                item.tests,
                shown_failure(item),
                state,
            )
            found.append(CheckedExercise(item.id, item.outcome, *values, output))
        return found


def document_of(document: Any, path: Path) -> NotebookNode:
    """Return an unsaved notebook that came in a request."""
    return parse_notebook(msgspec.json.encode(document).decode(), path)
