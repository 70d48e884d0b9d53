"""A process started for one job: ``python -m studium.workers.program``, which gets the job on its standard input."""

import contextlib
import math
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from io import BufferedReader
from pathlib import Path
from typing import TypeVar, cast

import msgspec

from studium.workers.ends import die_with, end_session
from studium.workers.job import Job, Tell, Worker, follow

T = TypeVar("T")
# On a busy machine a second thread slows work down many times; and a process that forks must not have threads.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
_CHUNK, _CHUNKS = 4096, 64  # of its errors, only so much is kept
_LAST_WORDS = 2.0  # seconds until all that it wrote has been read


class DiedError(Exception):
    """A worker ended before its work was done. The text is the reason, to stand after a colon."""


class Program(Worker):
    """A started process. It has its own session, and ends with that when it is killed or this process is gone.

    Its environment is this process's with some ``variables`` changed. ``descriptors`` are those it gets.
    """

    def __init__(self, job: Job, variables: Mapping[str, str] = {}, descriptors: Sequence[int] = ()) -> None:
        alive, ours = os.pipe()
        self._alive = open(ours, "wb")  # noqa: SIM115, PTH123  the kernel closes it when this process dies
        passed = [alive, *descriptors] if os.name == "posix" else []
        self._process = subprocess.Popen(
            [sys.executable, "-m", "studium.workers.program", *map(str, passed[:1])],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=passed,
            cwd=job.folder,
            env=os.environ | variables,
            start_new_session=True,  # Ctrl-C in a terminal reaches this process, which ends the other one
        )
        os.close(alive)
        self.pid = self._process.pid
        self._errors: deque[bytes] = deque(maxlen=_CHUNKS)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError), self._process.stdin as stream:  # it ended: noticed when waiting
            pickle.dump(job, stream)

    def poll(self) -> int | None:
        """Return the exit code, or None while it is running."""
        return self._process.poll()

    def wait(self, seconds: float) -> None:
        """Wait until the process has ended, but not longer than this."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)

    def kill(self) -> None:
        """End the process and its session, and wait until it has ended."""
        end_session(self.pid)
        self._process.kill()
        self._process.wait()
        self._alive.close()

    def last_words(self) -> str:
        """Return the last line that the ended process wrote to its errors, or ""."""
        self._reader.join(_LAST_WORDS)
        lines = b"".join(self._errors).decode("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else ""

    def why(self) -> str:
        """Say why the process ended early."""
        code = self.poll() or 0
        if code == -getattr(signal, "SIGKILL", 0):
            return "it was killed from outside, as happens when memory runs out"
        if code < 0:
            return f"it crashed ({signal.Signals(-code).name})"
        return self.last_words() or f"it ended with exit code {code} and reported nothing"

    def _read(self) -> None:
        with cast(BufferedReader, self._process.stderr) as stream:
            self._errors.extend(iter(partial(stream.read1, _CHUNK), b""))


def results(
    work: Callable[[Tell], object],
    decoder: msgspec.msgpack.Decoder[T],
    variables: Mapping[str, str] = {},
    folder: Path | None = None,
    limit: float = math.inf,
) -> list[T]:
    """Do some work in a new process and return everything that it tells.

    Raise DiedError if the process ends early, TimeoutError after ``limit`` seconds.
    """
    with tempfile.TemporaryDirectory(prefix="studium-") as scratch:
        events, deadline, found = Path(scratch) / "events", time.monotonic() + limit, []
        with Program(Job(work, events, folder), variables) as worker:
            for event in follow(worker, events, decoder):
                if event is not None:
                    found.append(event)
                elif time.monotonic() > deadline:
                    raise TimeoutError
            if worker.poll():
                raise DiedError(worker.why())
        return found


def main(alive: list[str]) -> None:
    """Do the job that comes on standard input."""
    if alive:
        die_with(int(alive[0]))
    job: Job = pickle.load(sys.stdin.buffer)  # noqa: S301  it comes from the process that started this one
    try:
        job.run()
    except Exception:
        traceback.print_exc(file=sys.__stderr__)
        os._exit(1)  # at the interpreter's end, libraries would have the last word


if __name__ == "__main__":
    main(sys.argv[1:])
