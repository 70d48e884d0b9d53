"""Processes that a test starts: with the signals of a terminal, and none that stays when the test is over."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

GRACE = 20.0  # seconds between the request to end and the end; a test that needs it takes as long


@contextmanager
def child(command: Sequence[str | Path], **options: Any) -> Iterator[subprocess.Popen[str]]:
    """Start a process in a session of its own, as `subprocess.Popen` with text; end it and all that it has started.

    Its signals are those of a program in a terminal, also where the tests run in the background with SIGINT ignored.
    What comes out of the block, a test's time limit too, ends it: it is asked by SIGTERM, and killed after `GRACE`.
    """
    with _signals_of_a_terminal():
        process = subprocess.Popen(list(map(str, command)), start_new_session=True, **{"text": True} | options)
    try:
        yield process
    finally:
        end(process)


def end(process: subprocess.Popen[Any]) -> None:
    """Ask a child to end, then kill what is left of it and of what it has started, and close its pipes."""
    family = _family(process.pid)
    try:
        if process.poll() is None:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(GRACE)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        for one in family:
            with suppress(psutil.NoSuchProcess):
                one.kill()
        process.wait()
        for pipe in filter(None, (process.stdin, process.stdout, process.stderr)):
            with suppress(BrokenPipeError):
                pipe.close()


def _family(pid: int) -> list[psutil.Process]:
    try:
        return list(psutil.Process(pid).children(recursive=True))
    except psutil.NoSuchProcess:
        return []


@contextmanager
def _signals_of_a_terminal() -> Iterator[None]:
    """Let what is started meanwhile inherit no ignored signal: one that is handled is reset in a new program."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM)}
    ignored = [number for number, handler in before.items() if handler is signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number in ignored:
            signal.signal(number, signal.SIG_IGN)
