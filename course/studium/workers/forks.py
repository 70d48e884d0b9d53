"""Forks of this process, each with its own session; whatever a fork leaves behind ends with it.

A process that forks has a single thread and has never touched a GPU, so it is a child process itself.
"""

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection, wait
from typing import TypeVar

import msgspec

from studium.workers.ends import die_with, end_session, limit_memory

K = TypeVar("K")
T = TypeVar("T")
WORKERS = 2
_MEMORY_MB = 4096.0  # that a task may use on top of what it starts with
_alive: dict[int, int] = {}  # by process id, the end of a pipe that a fork lives with


def fork(live: Callable[[], object]) -> int:
    """Fork a process that does one thing, and return its id. It ends, with its session, when this process is gone."""
    theirs, ours = os.pipe()
    if pid := os.fork():
        os.close(theirs)
        _alive[pid] = ours
        return pid
    code = 1
    try:
        os.setsid()
        for other in (ours, *_alive.values()):
            os.close(other)
        _alive.clear()
        die_with(theirs)
        live()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def ended(pid: int, *, now: bool = False) -> int | None:
    """Return how a fork ended, after ending what it left behind; None if it is running. ``now`` ends it, too."""
    if now:
        end_session(pid)
        os.kill(pid, signal.SIGKILL)  # it may not lead a session yet
    gone, status = os.waitpid(pid, 0 if now else os.WNOHANG)
    if not gone:
        return None
    end_session(pid)
    os.close(_alive.pop(pid))
    return os.waitstatus_to_exitcode(status)


def run_forked(
    tasks: Iterable[tuple[K, float, Callable[[], object]]], decoder: msgspec.msgpack.Decoder[T]
) -> Iterator[tuple[K, T | None]]:
    """Run each task (key, seconds, function) in a separate process, at most two at once.

    Yield each key with what its function returned, or with None if it took too long or ended without a result.
    """
    waiting = iter(tasks)
    running: dict[Connection, tuple[int, K, float]] = {}
    try:
        while True:
            while len(running) < WORKERS and (task := next(waiting, None)):
                key, limit, function = task
                ours, pid = _fork(function)
                running[ours] = pid, key, time.monotonic() + limit
            if not running:
                return
            soonest = min(deadline for _, _, deadline in running.values())
            ready = wait(list(running), timeout=max(0.0, soonest - time.monotonic()))
            late = [c for c, (_, _, deadline) in running.items() if c not in ready and time.monotonic() >= deadline]
            for ours in [*(c for c in running if c in ready), *late]:
                pid, key, _ = running.pop(ours)
                with ours:
                    result = _result(ours, decoder) if ours not in late else None
                ended(pid, now=True)
                yield key, result
    finally:
        for pid, _, _ in running.values():
            ended(pid, now=True)


def one_thread() -> None:
    """Make torch compute with one thread, if it has been imported."""
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)


def _fork(function: Callable[[], object]) -> tuple[Connection, int]:
    read, write = os.pipe()
    ours, theirs = Connection(read, writable=False), Connection(write, readable=False)

    def live() -> None:
        limit_memory(_MEMORY_MB)
        theirs.send_bytes(msgspec.msgpack.encode(function()))

    with theirs:
        return ours, fork(live)


def _result(connection: Connection, decoder: msgspec.msgpack.Decoder[T]) -> T | None:
    """Read what a process sent; one that ended without sending anything has no result."""
    try:
        return decoder.decode(connection.recv_bytes())
    except (EOFError, OSError):
        return None
