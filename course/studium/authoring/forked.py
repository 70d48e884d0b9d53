"""Run jobs in forked processes with limits on time and memory; whatever a job leaves behind ends with it.

The process that forks has a single thread and has never touched a GPU, so it is a child process itself: ``child``.
"""

import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import TypeVar

import msgspec

from studium.errors import TopicError

K = TypeVar("K")
T = TypeVar("T")
WORKERS = 2
_MEMORY = 4 * 2**30  # bytes that a job may use on top of what it starts with
Job = Callable[[], object]


def child(module: str, arguments: Iterable[str], kind: type[T], what: str) -> T:
    """Run a module as ``python -m module PATH ARGUMENTS`` and return what it writes to PATH, as JSON of ``kind``.

    Raise TopicError if it fails; ``what`` names what could not be run.
    """
    with tempfile.TemporaryDirectory(prefix="studium-") as scratch:
        path = Path(scratch) / "found.json"
        command = [sys.executable, "-m", module, str(path), *arguments]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}  # a process that forks must not have threads
        done = subprocess.run(command, env=environment, cwd=scratch, capture_output=True, text=True, check=False)
        if done.returncode:
            last = done.stderr.strip().splitlines()[-1:] or ["it was killed from outside"]
            raise TopicError(f"{what} could not be run: {last[0]}")
        return msgspec.json.decode(path.read_bytes(), type=kind)


def one_thread() -> None:
    """Make torch compute with one thread, if it has been imported."""
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)


def run_forked(tasks: Iterable[tuple[K, float, Job]], kind: type[T]) -> Iterator[tuple[K, T | None]]:
    """Run the job of each task (key, seconds, job) in a separate process, at most two at once.

    Yield each key with the job's result, or with None if the job took too long or ended without a result.
    """
    waiting = iter(tasks)
    running: dict[Connection, tuple[ForkProcess, K, float]] = {}
    while True:
        while len(running) < WORKERS and (task := next(waiting, None)):
            key, limit, job = task
            connection, process = _fork(job)
            running[connection] = process, key, time.monotonic() + limit
        if not running:
            return
        soonest = min(deadline for _, _, deadline in running.values())
        ready = wait(list(running), timeout=max(0.0, soonest - time.monotonic()))
        late = [c for c, (_, _, deadline) in running.items() if c not in ready and time.monotonic() >= deadline]
        for connection in [*(c for c in running if c in ready), *late]:
            process, key, _ = running.pop(connection)
            result = _result(connection, kind) if connection not in late else None
            process.kill()
            process.join()
            yield key, result


def _fork(job: Job) -> tuple[Connection, ForkProcess]:
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_tell, args=(job, theirs))
    process.start()
    theirs.close()
    return ours, process


def _tell(job: Job, connection: Connection) -> None:
    _limit_memory()
    connection.send_bytes(msgspec.json.encode(job()))
    os._exit(0)  # whatever a job has started ends with it


def _limit_memory() -> None:
    import resource

    used = (
        int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        if sys.platform == "linux"
        else 0
    )
    resource.setrlimit(resource.RLIMIT_AS, (used + _MEMORY, used + _MEMORY))


def _result(connection: Connection, kind: type[T]) -> T | None:
    """Read what a process sent; one that ended without sending anything has no result."""
    try:
        return msgspec.json.decode(connection.recv_bytes(), type=kind)
    except (EOFError, OSError):
        return None
