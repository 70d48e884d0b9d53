"""A student's process, forked over a socket pair, with its judge here."""

from __future__ import annotations

import faulthandler
import gc
import os
import signal
import socket
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from studium_graders.engine.judge_side.student_process import StudentProcess
from studium_graders.engine.material.limits import Limits
from studium_graders.engine.student_side.cells import Cells
from studium_graders.engine.student_side.serving import serve
from studium_graders.engine.student_side.warm_up import warm_up

from tests.graders.engine.shells import make_current

from .permitting import permissions

LIMITS = Limits(call_seconds=20)


@pytest.fixture(scope="session")
def shell() -> Any:
    import sys

    main = sys.modules["__main__"]
    shell = warm_up()
    sys.modules["__main__"] = main
    return shell


@pytest.fixture
def make_student(shell: Any) -> Iterator[Callable[..., StudentProcess]]:
    """Fork a student that ran ``source``; keywords are those of ``permissions``, and ``limits``."""
    yield from students(shell)


@pytest.fixture(scope="module")
def make_module_student(shell: Any) -> Iterator[Callable[..., StudentProcess]]:
    """Fork a student for all tests of a module."""
    yield from students(shell)


def students(shell: Any) -> Iterator[Callable[..., StudentProcess]]:
    """Fork students, and end them all."""
    running: list[tuple[int, StudentProcess]] = []

    def make(source: str = "", *, limits: Limits = LIMITS, seed: bytes = b"", **policy: Any) -> StudentProcess:
        here, there = socket.socketpair()
        pid = os.fork()
        if pid == 0:
            make_current(shell)
            gc.freeze()  # as the fork server does; else looking for garbage copies the memory of all tests
            here.close()
            for _, other in running:
                other.channel.close()
            import sys

            sys.modules["__main__"] = shell.user_module
            faulthandler.disable()
            silence = os.open(os.devnull, os.O_WRONLY)
            os.dup2(silence, 1)
            os.dup2(silence, 2)
            os.closerange(
                3, there.fileno()
            )  # the hostile ones write to all they find: not to what pytest talks through
            os.closerange(there.fileno() + 1, 1 << 12)
            serve(there, Cells(shell, limits.output_kb), limits)
        there.close()
        student = StudentProcess(here, permissions(**policy), limits, seed)
        running.append((pid, student))
        if source:
            run = student.run(textwrap.dedent(source))
            assert not run.error, run.error
        return student

    make.last = lambda: running[-1][1]
    yield make
    for pid, student in running:
        student.channel.close()
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
