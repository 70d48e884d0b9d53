"""The server's end of a worker: a process that is started when needed, and restarted if it has died."""

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from itertools import count
from typing import Literal

import msgspec
from studium.errors import CourseError, StudiumError, UsageError

from studium_classroom.jobs.forms import Answered, Asked, CheckDone, CheckJob, Failed, GradeDone, GradeJob

_answers = msgspec.msgpack.Decoder(Answered)
_ERRORS: dict[str, type[StudiumError]] = {"request": UsageError, "course": CourseError, "work": StudiumError}


class WorkerDied(StudiumError):  # noqa: N818 - what happened, not a mistake of the caller's
    """The process ended while working on the job."""


class Worker:
    """A process that grades, or one that checks. To be used in one event loop."""

    def __init__(self, kind: Literal["grade", "check"]) -> None:
        self._kind = kind
        self._numbers = count(1)
        self._waiting: dict[int, asyncio.Future[GradeDone | CheckDone | Failed]] = {}
        self._process: Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._starting = asyncio.Lock()

    async def grade(self, job: GradeJob) -> GradeDone:
        """Have submissions graded. Raise CourseError if none can be, WorkerDied if the process ended.

        Raise another StudiumError if one of them may be the cause.
        """
        answer = await self._ask(job)
        assert isinstance(answer, GradeDone)
        return answer

    async def check(self, job: CheckJob) -> CheckDone:
        """Have a notebook checked. Raise UsageError if the assignment does not have it; otherwise errors are as for
        ``grade``.
        """
        answer = await self._ask(job)
        assert isinstance(answer, CheckDone)
        return answer

    async def start(self) -> None:
        """Start the process if it is not running, so the first job need not wait for imports."""
        async with self._starting:
            if self._process is None or self._process.returncode is not None:
                command = (sys.executable, "-m", "studium_classroom.jobs.worker_main", self._kind)
                self._process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, limit=1 << 16)
                self._reader = asyncio.create_task(self._read(self._process))

    async def close(self) -> None:
        """End the process."""
        if self._process and self._process.returncode is None:
            assert self._process.stdin
            self._process.stdin.close()
            await self._process.wait()
        if self._reader:
            await self._reader

    async def _ask(self, job: GradeJob | CheckJob) -> GradeDone | CheckDone:
        await self.start()
        assert self._process
        assert self._process.stdin
        number, future = next(self._numbers), asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        packed = msgspec.msgpack.encode(Asked(number, job))
        try:
            self._process.stdin.write(len(packed).to_bytes(4, "big") + packed)
            await self._process.stdin.drain()
        except ConnectionError:
            self._fail()
        answer = await future
        if isinstance(answer, Failed):
            raise _ERRORS[answer.fault](answer.sentence)
        return answer  # type: ignore[no-any-return]

    async def _read(self, process: Process) -> None:
        """Pass on answers until the process ends; then tell everybody still waiting."""
        assert process.stdout
        try:
            while True:
                size = int.from_bytes(await process.stdout.readexactly(4), "big")
                answered = _answers.decode(await process.stdout.readexactly(size))
                future = self._waiting.pop(answered.number, None)
                if future and not future.done():
                    future.set_result(answered.answer)
        except asyncio.IncompleteReadError:
            await process.wait()
            self._fail()

    def _fail(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for future in waiting.values():
            if not future.done():
                future.set_exception(WorkerDied(f"the process that was to {self._kind} ended; try again"))
