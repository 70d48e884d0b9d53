"""The queue of checks: one runs at a time, in a clean process; the others wait and can be cancelled."""

import itertools
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import msgspec

from studium.desk.clean_check import CancelledError
from studium.errors import StudiumError

_KEPT = 50
WAITING, OVER = ("queued", "running"), ("done", "cancelled", "refused", "failed")


class RefusedError(StudiumError):
    """A check that would be killed for lack of memory."""


class JobState(msgspec.Struct, frozen=True):
    """One job, as the panel sees it. ``left`` is the time until the limit of its current step, in seconds."""

    id: str
    path: str
    slug: str
    exercise: str | None
    state: str
    position: int
    doing: str
    elapsed: float
    left: float | None
    limit: float
    results: list[Any] | None
    message: str


@dataclass
class Job:
    """One check. ``work`` carries it out; it receives the job, to report progress and to ask whether to stop."""

    path: str
    slug: str
    exercise: str | None
    limit: float
    work: "Callable[[Job], list[Any]]"
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    state: str = "queued"
    doing: str = ""
    results: list[Any] | None = None
    message: str = ""
    started: float | None = None
    ended: float | None = None
    deadline: float | None = None
    stop: threading.Event = field(default_factory=threading.Event)


class Jobs:
    """The queue. ``changed`` is called on each change, from any thread."""

    def __init__(self, changed: Callable[[JobState], None] = lambda state: None) -> None:
        self._changed = changed
        self._lock = threading.RLock()
        self._jobs: dict[str, Job] = {}
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="studium-checks")

    def add(self, job: Job) -> JobState:
        """Add a job to the queue, cancelling any that waits for the same thing."""
        with self._lock:
            same = (job.path, job.exercise)
            for other in [one for one in self._jobs.values() if one.state == "queued"]:
                if (other.path, other.exercise) == same:
                    self.cancel(other.id)
            over = [one for one in self._jobs.values() if one.state in OVER]
            for old in over[: max(0, len(self._jobs) + 1 - _KEPT)]:
                del self._jobs[old.id]
            self._jobs[job.id] = job
            self._pool.submit(self._run, job)
            return self._tell(job)

    def cancel(self, name: str) -> JobState | None:
        """Stop a job and return it, or None if there is none."""
        with self._lock:
            job = self._jobs.get(name)
            if job is None:
                return None
            job.stop.set()
            if job.state == "queued":
                job.state, job.message = "cancelled", "the check was stopped; nothing was recorded"
                return self._tell(job)
            return self._state(job)

    def get(self, name: str) -> JobState | None:
        """Return a job, or None if there is none."""
        with self._lock:
            return self._state(self._jobs[name]) if name in self._jobs else None

    def all(self) -> list[JobState]:
        """Return the jobs, newest first."""
        with self._lock:
            return [self._state(job) for job in reversed(self._jobs.values())]

    def step(self, job: Job, doing: str, deadline: float) -> None:
        """Record what a job is doing now, and when its time is up."""
        with self._lock:
            job.deadline = deadline
            if doing and doing != job.doing:
                job.doing = doing
                self._tell(job)

    def close(self) -> None:
        """Stop everything."""
        with self._lock:
            for job in self._jobs.values():
                job.stop.set()
        self._pool.shutdown(cancel_futures=True)

    def _run(self, job: Job) -> None:
        with self._lock:
            if job.state != "queued":
                return
            job.state, job.started = "running", time.monotonic()
            self._tell(job)
        state, message = "done", ""
        try:
            job.results = job.work(job)
        except CancelledError as error:
            state, message = "cancelled", str(error)
        except RefusedError as error:
            state, message = "refused", str(error)
        except StudiumError as error:
            state, message = "failed", str(error)
        except Exception as error:  # a bug of ours must not stop the queue
            state, message = "failed", f"the check itself failed: {type(error).__name__}: {error}"
        with self._lock:
            job.state, job.message, job.ended = state, message, time.monotonic()
            self._tell(job)

    def _tell(self, job: Job) -> JobState:
        state = self._state(job)
        self._changed(state)
        return state

    def _state(self, job: Job) -> JobState:
        now = time.monotonic()
        before = itertools.takewhile(lambda one: one is not job, self._jobs.values())
        position = sum(one.state in WAITING for one in before) if job.state == "queued" else 0
        running = job.state == "running" and job.deadline is not None
        return JobState(
            job.id,
            job.path,
            job.slug,
            job.exercise,
            job.state,
            position,
            job.doing,
            round((job.ended or now) - job.started, 3) if job.started else 0.0,
            round(max(0.0, job.deadline - now), 1) if running and job.deadline else None,
            job.limit,
            job.results,
            job.message,
        )
