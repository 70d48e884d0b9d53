"""Grading on submit: what waits is graded, one course's assignment after the other, and written down."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

import msgspec
from studium.errors import StudiumError

from studium_classroom.blobs import Blobs
from studium_classroom.courses import Courses, utc_now
from studium_classroom.jobs.forms import GradeJob, HandedIn
from studium_classroom.jobs.worker import Worker, WorkerDied
from studium_classroom.schema import Submission
from studium_classroom.submissions import Graded, Submissions

_BATCH = 32  # submissions that are recorded together: the first ones of a rush need not wait for the last ones
_FIRST_PAUSE, _LONGEST_PAUSE = 2.0, 60.0  # seconds after a batch that could not be graded
_log = logging.getLogger(__name__)


class Terms(msgspec.Struct, frozen=True):
    """Where grading runs, as ``studium grade`` has it."""

    executor: str = "local"
    scheduler: str = ""
    trust: bool = False


class GradingLine:
    """The line of submissions that wait. It is kept in the database, so that a server that was killed goes on with it.

    ``problems`` has a sentence for each assignment, by course and name, that cannot be graded now; ``changed`` is
    called with course and name after each batch.
    """

    def __init__(
        self,
        courses: Courses,
        submissions: Submissions,
        blobs: Blobs,
        worker: Worker,
        terms: Terms,
        changed: Callable[[str, str], None] | None = None,
    ) -> None:
        self._courses, self._submissions, self._blobs = courses, submissions, blobs
        self._worker, self._terms, self._changed = worker, terms, changed
        self._woken = asyncio.Event()
        self.problems: dict[tuple[str, str], str] = {}

    def wake(self) -> None:
        """Look again for what waits."""
        self._woken.set()

    async def run(self) -> None:
        """Grade until cancelled."""
        pause = _FIRST_PAUSE
        while True:
            self._woken.clear()
            waiting = [pair for pair in await asyncio.to_thread(self._submissions.waiting) if pair[0] in self._courses]
            for course, assignment in waiting:
                await self._grade(course, assignment)
            failing = bool(self.problems.keys() & set(waiting))
            pause = min(2 * pause, _LONGEST_PAUSE) if failing else _FIRST_PAUSE
            if failing or not waiting:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._woken.wait(), pause if failing else None)

    async def _grade(self, course: str, assignment: str) -> None:
        """Grade one batch; one that failed as a whole waits on, and the reason is kept for the instructors."""
        batch = await asyncio.to_thread(self._submissions.next_batch, course, assignment, _BATCH)
        job = self._job(course, assignment, batch)
        try:
            done = await self._worker.grade(job)
            graded, notes = done.graded, done.notes
            self.problems.pop((course, assignment), None)
        except WorkerDied as error:
            graded, notes = [Graded(one.user, problem=str(error)) for one in batch], [str(error)]
        except StudiumError as error:
            graded, notes = None, [str(error)]
            self.problems[course, assignment] = str(error)
        for note in notes:
            _log.warning("%s %s: %s", course, assignment, note)
        if graded is not None:
            await asyncio.to_thread(self._submissions.note, batch, graded, utc_now())
        if self._changed:
            self._changed(course, assignment)

    def _job(self, course: str, assignment: str, batch: list[Submission]) -> GradeJob:
        handed_in = [HandedIn(row.user, row.received, str(self._blobs.path(row.sha256))) for row in batch]
        root, terms = str(self._courses[course].root), self._terms
        return GradeJob(root, assignment, handed_in, terms.executor, terms.scheduler, terms.trust)
