"""One attempt at one notebook: a student's process and a judge's, watched until they are done or stopped."""

import contextlib
import math
import selectors
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from studium_graders.course.limits import Limits
from studium_graders.engine.judge.events import Finished, Judged, Planned, Ran, Started
from studium_graders.engine.judge.judge_job import AtMost, Fault, Gone, JudgeJob, Message, Messages, Recorded
from studium_graders.engine.material.results import CellRun, TestResult
from studium_graders.engine.processes import endings
from studium_graders.engine.processes.endings import Ending
from studium_graders.engine.processes.launcher import Process
from studium_graders.engine.processes.links import LinkClosedError, receive_bytes, send
from studium_graders.engine.processes.process_tree import Usage, descendants
from studium_graders.engine.sandbox.resource_limits import limit_data_of
from studium_graders.engine.student_side.student_job import Refused, StudentJob

_TICK = 0.2
_OWN_TASKS = 2  # of a student's process: itself, and the one that keeps it
_GRACE = 5.0  # the judge itself ends a call that takes too long; the supervisor is for a judge that hangs
_CROWDED = 0.5  # of the time of a call: code that waited longer for a processor may not be to blame for being late
_LAST_WORDS = 2.0  # between the end of a process and the moment when its zygote has told of it

# Made here and not in threads: where two make what decodes a type at the same time, msgspec ends the process.
_decoder: msgspec.msgpack.Decoder[Messages] = msgspec.msgpack.Decoder(Messages)
_refusals = msgspec.msgpack.Decoder(Refused)


class SandboxRefusedError(Exception):
    """The sandbox could not be entered. Nothing was graded, and nothing will be."""


Launch = Callable[[list[socket.socket]], Process]


@dataclass
class Heard:
    """What the attempts of a pass brought to light. ``step`` is the cell that had its turn last.

    ``mistakes`` are those that explain, by grade id, why a test failed; ``unwritten`` are tests that met
    NotImplementedError.
    """

    results: dict[str, TestResult] = field(default_factory=dict)
    mistakes: dict[str, list[str] | None] = field(default_factory=dict)
    unwritten: set[str] = field(default_factory=set)
    runs: dict[str, CellRun] = field(default_factory=dict)
    plan: Planned | None = None
    recorded: Recorded = field(default_factory=Recorded)
    step: str = ""
    since: float = 0.0
    before: Usage | None = None  # what the student's process had used early in that step
    seconds: float = 0.0  # that all attempts took, without the start of their processes
    crowded: bool = False  # the student's code was late, and had waited for a processor

    def note(self, event: Message) -> Ending | None:
        """Take in an event; give the end that it tells of."""
        self.since = time.monotonic()
        match event:
            case Started(cell):
                self.step, self.before = cell, None
            case Planned():
                self.plan = event
            case Ran(cell, run):
                self.runs.setdefault(cell, run)
            case Judged(result, mistakes, unwritten) if result.grade_id not in self.results:
                self.results[result.grade_id] = result
                self.mistakes[result.grade_id] = mistakes
                self.unwritten |= {result.grade_id} if unwritten else set()
            case Recorded():
                self.recorded = event
            case Gone(verdict, sentence):
                return Ending(verdict, sentence)
            case Fault(trace):
                return endings.judge_died(trace)
        return None


@dataclass(frozen=True)
class Attempt:
    """What is needed for an attempt."""

    student: Launch
    judge: Launch
    limits: Limits

    def run(self, job: JudgeJob, student_job: StudentJob, heard: Heard) -> Ending | None:
        """Run until the judge has finished, or say what ended it. Raise SandboxRefusedError."""
        heard.step = ""
        link, theirs = socket.socketpair()
        wire, other_wire = socket.socketpair()
        with link, wire:
            with theirs, other_wire:
                student = self.student([theirs, other_wire])
            try:
                with contextlib.suppress(LinkClosedError):  # seen by how it ends
                    send(link, student_job)
                ending = self._judge(job, wire, student, heard)
                if ending and ending.verdict == "ended early":
                    student.ended(_LAST_WORDS)
            finally:
                student.kill()
                status = student.wait()
            _raise_refusal(link)
        return endings.died(status, self.limits) if ending and ending.verdict == "ended early" else ending

    def _judge(self, job: JudgeJob, wire: socket.socket, student: Process, heard: Heard) -> Ending | None:
        link, theirs = socket.socketpair()
        with link:
            with theirs:
                judge = self.judge([theirs, wire])
            wire.close()
            start = heard.since = time.monotonic()
            try:
                with contextlib.suppress(LinkClosedError):
                    send(link, job)
                return self._watch(link, student, heard)
            finally:
                heard.seconds += time.monotonic() - start
                judge.kill()
                judge.wait()

    def _watch(self, link: socket.socket, student: Process, heard: Heard) -> Ending | None:
        deadline = heard.since + self.limits.submission_seconds - heard.seconds
        with selectors.DefaultSelector() as waiting:
            waiting.register(link, selectors.EVENT_READ)
            while True:
                if waiting.select(min(_TICK, max(0.0, deadline - time.monotonic()))):
                    try:
                        events = _decoder.decode(receive_bytes(link))
                    except LinkClosedError:
                        return endings.judge_died()
                    told = [heard.note(event) for event in events]
                    if isinstance(events[-1], AtMost):
                        _limit(student, events[-1].megabytes, link)
                        continue
                    if isinstance(events[-1], Finished):
                        return None
                    ending = told[-1] or self._late(deadline)
                else:
                    ending = self._late(deadline) or self._breach(student, heard)
                if ending:
                    return self._reconsidered(ending, student, heard)

    def _late(self, deadline: float) -> Ending | None:
        return endings.out_of_time(self.limits.submission_seconds) if time.monotonic() >= deadline else None

    def _breach(self, student: Process, heard: Heard) -> Ending | None:
        usage = student.usage(self.limits.memory_mb)
        heard.before = heard.before or usage
        if time.monotonic() - heard.since > self.limits.call_seconds + _GRACE:
            return endings.test_too_long(self.limits.call_seconds)
        if usage.computed > self.limits.cpu_seconds:
            return endings.too_much_computing(self.limits)
        if usage.tasks > self.limits.processes:
            return endings.too_many(self.limits)
        if usage.memory_mb > self.limits.memory_mb:
            return endings.too_much_memory(self.limits)
        return None

    def _reconsidered(self, ending: Ending, student: Process, heard: Heard) -> Ending:
        """Name the reason behind a process that answers no more: it is full of other processes."""
        if ending.verdict not in ("time limit", "broken protocol", "memory limit"):
            return ending
        usage = student.usage(math.inf)
        if usage.tasks >= self.limits.processes - _OWN_TASKS:
            return endings.too_many(self.limits)
        heard.crowded |= ending.verdict == "time limit" and was_crowded(heard.before or Usage(0, 0), usage, self.limits)
        return ending


def was_crowded(before: Usage, after: Usage, limits: Limits) -> bool:
    """Return whether a step was late for the lack of a processor; the usage of its process before and after it.

    What it computed meanwhile does not count: an answer that needs less than the whole limit must get it.
    """
    return after.waited - before.waited > limits.call_seconds * _CROWDED


def _limit(student: Process, megabytes: float | None, link: socket.socket) -> None:
    """Limit what the student's process may allocate, and tell the judge, which waits for it."""
    try:
        limit_data_of([student.pid, *descendants(student.pid)], megabytes)
    except PermissionError as error:
        why = f"the memory of a student's process cannot be limited from outside ({error.strerror})"
        raise SandboxRefusedError(why) from error
    with contextlib.suppress(LinkClosedError):  # seen by how it ends
        send(link, True)


def _raise_refusal(link: socket.socket) -> None:
    link.setblocking(False)
    try:
        raise SandboxRefusedError(_refusals.decode(receive_bytes(link)).reason)
    except (LinkClosedError, BlockingIOError):
        return
