"""Forks of this process that serve as students' processes."""

from __future__ import annotations

import faulthandler
import gc
import os
import signal
import socket
import sys
import textwrap
import warnings
from typing import Any

from studium_graders.course.limits import Limits
from studium_graders.engine.judge_side.student import Student
from studium_graders.engine.student_side.cells import Cells
from studium_graders.engine.student_side.serving import serve

from tests.graders.engine.shells import make_current

LIMITS = Limits(call_seconds=60)
PACKAGES = ("studium_topics",)


class Forked:
    """Students' processes that have been forked."""

    def __init__(self, shell: Any) -> None:
        self.shell = shell
        self._running: list[tuple[int, Student]] = []

    def student(self, source: str = "", *, limits: Limits = LIMITS, given: str = "") -> Student:
        """Fork a student's process that has run a cell."""
        here, there = socket.socketpair()
        pid = os.fork()
        if pid == 0:
            self._be_student(here, there, limits)
        there.close()
        student = Student(here, limits, b"secret", packages=PACKAGES)
        self._running.append((pid, student))
        for cell, is_given in ((given, True), (source, False)):
            if cell:
                run = student.run(textwrap.dedent(cell), given=is_given)
                assert not run.error, run.error
        return student

    @property
    def pids(self) -> list[int]:
        """The processes, in the order in which they were forked."""
        return [pid for pid, _ in self._running]

    def _be_student(self, here: socket.socket, there: socket.socket, limits: Limits) -> None:
        make_current(self.shell)
        warnings.resetwarnings()  # they are errors in tests, but not in a student's process
        gc.freeze()  # else looking for garbage copies the memory of all tests
        here.close()
        for _, other in self._running:
            other.close()
        sys.modules["__main__"] = self.shell.user_module
        faulthandler.disable()
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        if not os.environ.get("STUDENT_SAYS"):
            os.dup2(silence, 2)
        serve(there, Cells(self.shell, limits.output_kb), limits, packages=PACKAGES)

    def kill(self) -> None:
        """End all processes."""
        for pid, student in self._running:
            student.close()
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
