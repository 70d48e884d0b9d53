"""Grading on submit: whatever is waiting is graded, one course's assignment after another, and recorded."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress

import msgspec
from studium.errors import CourseError, StudiumError

from studium_classroom.blobs import Blobs
from studium_classroom.courses import Courses, utc_now
from studium_classroom.jobs.forms import GradeJob, HandedIn
from studium_classroom.jobs.worker import Worker, WorkerDied
from studium_classroom.schema import Submission
from studium_classroom.submissions import Graded, Submissions

_BATCH = 32  # submissions recorded together: the first ones of a rush need not wait for the last
_FIRST_PAUSE, _LONGEST_PAUSE = 2.0, 60.0  # seconds to wait after a batch that could not be graded
_log = logging.getLogger(__name__)


class Terms(msgspec.Struct, frozen=True):
    """Where grading runs, as for ``studium grade``."""

    executor: str = "local"
    scheduler: str = ""
    trust: bool = False


class GradingLine:
    """The queue of submissions waiting to be graded, kept in the database so a restarted server continues with it.

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
        """Look again for waiting submissions."""
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
            if set(waiting) <= self.problems.keys():  # what can be graded need not wait for what cannot
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._woken.wait(), pause if failing else None)

    async def _grade(self, course: str, assignment: str) -> None:
        """Grade one batch and record the results; if nothing can be graded, keep the reason for the instructors."""
        batch, problem = await asyncio.to_thread(self._submissions.next_batch, course, assignment, _BATCH), ""
        try:
            graded = await self._graded(course, assignment, batch)
        except CourseError as error:
            graded, problem = [], str(error)
        except StudiumError as error:
            graded, problem = await self._one_by_one(course, assignment, batch, error)
        self._tell(course, assignment, problem)
        done = {one.student for one in graded}
        await asyncio.to_thread(self._submissions.note, [row for row in batch if row.user in done], graded, utc_now())
        if self._changed:
            self._changed(course, assignment)

    async def _one_by_one(
        self, course: str, assignment: str, batch: Sequence[Submission], error: StudiumError
    ) -> tuple[list[Graded], str]:
        """Grade each submission of a batch alone after they failed together. Return what is known then, and the
        problem.

        A failure counts against a submission if it is its own fault: another one gets through, it has failed alone
        before, or it ended the process. Otherwise the course may be the reason, and no submission is given up for that.
        """
        graded: list[Graded] = []
        failed = {batch[0].user: error} if len(batch) == 1 else {}
        for row in batch if len(batch) > 1 else ():
            try:
                graded += await self._graded(course, assignment, [row])
            except CourseError as its_own:
                return graded, str(its_own)
            except StudiumError as its_own:
                failed[row.user] = its_own
        known = [row for row in batch if row.user in failed]
        own = [row for row in known if graded or row.tries or isinstance(failed[row.user], WorkerDied)]
        for row in own:
            _log.warning("%s %s: %s could not be graded: %s", course, assignment, row.user, failed[row.user])
        tries = min(2, len(batch))  # failed with the others, and alone
        graded += [Graded(row.user, problem=str(failed[row.user]), tries=tries) for row in own]
        unclear = ", ".join(row.user for row in known if row not in own)
        return graded, f"{unclear} could not be graded: {error}" if unclear else ""

    def _tell(self, course: str, assignment: str, problem: str) -> None:
        """Keep why an assignment cannot be graded now, for its instructors and in the log; "" if it can be."""
        self.problems.pop((course, assignment), None)
        if problem:
            self.problems[course, assignment] = problem
            _log.warning("%s %s: %s", course, assignment, problem)

    async def _graded(self, course: str, assignment: str, batch: Sequence[Submission]) -> list[Graded]:
        """Have a batch graded, and return the result for each submission. Raise what the worker raises."""
        done = await self._worker.grade(self._job(course, assignment, batch))
        for note in done.notes:
            _log.warning("%s %s: %s", course, assignment, note)
        found = {one.student: one for one in done.graded}
        return [found.get(row.user, Graded(row.user, problem="it was not graded")) for row in batch]

    def _job(self, course: str, assignment: str, batch: Sequence[Submission]) -> GradeJob:
        handed_in = [HandedIn(row.user, row.received, str(self._blobs.path(row.sha256))) for row in batch]
        root, terms = str(self._courses[course].root), self._terms
        return GradeJob(root, assignment, handed_in, terms.executor, terms.scheduler, terms.trust)
