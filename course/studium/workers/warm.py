"""A warm process that is forked for each job: milliseconds instead of the seconds that importing torch takes.

This is the parent's side; ``warm_process`` is the child's. Each fork has its own link, a socket: closing it kills the
fork and everything that it started, and the fork's exit code comes back on it. If processes cannot be forked, or the
warm one is not suitable, jobs start cold. The standard library's fork server imports modules before it starts and never
again; a warm process can import the topic of a lesson when that is opened.
"""

import contextlib
import os
import pickle
import select
import socket
import threading
from collections.abc import Callable, Mapping
from functools import partial

from studium.workers.job import Job, Tell, Worker
from studium.workers.program import ONE_THREAD, Program
from studium.workers.warm_process import CALL, CODE, FORK, serve

_ANSWER_SECONDS, _END_SECONDS = 120.0, 2.0


class _Fork(Worker):
    """One forked process, at the other end of a link."""

    def __init__(self, link: socket.socket) -> None:
        self._link = link
        self._code: int | None = None

    def poll(self) -> int | None:
        """Return the exit code, or None while it is running."""
        if self._code is None and _readable(self._link, 0):
            told = self._link.recv(CODE.size)
            self._code = CODE.unpack(told)[0] if len(told) == CODE.size else -9
        return self._code

    def kill(self) -> None:
        """End the fork, and wait until it has ended."""
        with contextlib.suppress(OSError):
            self._link.shutdown(socket.SHUT_WR)
            if self._code is None and _readable(self._link, _ANSWER_SECONDS):
                self.poll()
        self._link.close()


class Warm:
    """A warm process, started when first needed and restarted if killed. Any thread may use it.

    ``variables`` are what its environment has besides this process's.
    """

    def __init__(self, variables: Mapping[str, str] = ONE_THREAD) -> None:
        self._variables = variables
        self._lock = threading.Lock()
        self._process: Program | None = None
        self._control: socket.socket | None = None
        self._fit = hasattr(os, "fork") and hasattr(socket, "send_fds")

    def call(self, work: Callable[[Tell], object]) -> None:
        """Have the warm process itself do some work, such as imports, before what comes later. Does not wait for it."""
        with self._lock, contextlib.suppress(OSError):
            if self._fit:
                self._send(CALL, Job(work)).close()

    def launch(self, job: Job) -> Worker:
        """Fork a process that does a job; start one cold if that is not possible."""
        with self._lock:
            for _ in range(2 if self._fit else 0):  # the first attempt may find that the process was killed
                with contextlib.suppress(OSError):
                    if fork := self._fork(job):
                        return fork
                    self._fit = False  # it reports that itself
                    break
                self._stop()
        return Program(job, self._variables)

    def close(self) -> None:
        """End the warm process and all its forks."""
        with self._lock:
            self._stop()

    def _fork(self, job: Job) -> _Fork | None:
        link = self._send(FORK, job)
        try:
            answer = link.recv(1)
            link.settimeout(None)
        except OSError:
            link.close()
            raise
        if answer == b"y":
            return _Fork(link)
        link.close()
        if not answer:
            raise ConnectionResetError("the warm process is gone")
        return None

    def _send(self, verb: bytes, job: Job) -> socket.socket:
        """Send a job and a link of its own; return our end of the link."""
        if self._process is None or self._process.poll() is not None:
            self._start()
        assert self._control is not None
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                socket.send_fds(self._control, [verb], [theirs.fileno()])
            ours.settimeout(_ANSWER_SECONDS)
            ours.sendall(pickle.dumps(job))
        except OSError:
            ours.close()
            raise
        return ours

    def _start(self) -> None:
        self._stop()
        self._control, theirs = socket.socketpair()
        with theirs:
            job = Job(partial(serve, theirs.fileno()))
            self._process = Program(job, self._variables, [theirs.fileno()])

    def _stop(self) -> None:
        if self._control is not None:
            self._control.close()  # it ends its forks, then itself
        if self._process is not None:
            self._process.wait(_END_SECONDS)
            self._process.kill()
        self._control = self._process = None


def _readable(link: socket.socket, seconds: float) -> bool:
    waiting = select.poll()
    waiting.register(link, select.POLLIN)
    return bool(waiting.poll(seconds * 1000))
