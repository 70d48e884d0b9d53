"""The warm process itself: it does what it is told between forks, forks itself on request, and reaps.

What a learner or an author wrote runs only in the forks. The process ends when the one that started it does.
"""

import contextlib
import os
import pickle
import random
import select
import signal
import socket
import struct
import sys
from pathlib import Path

from studium.workers.forks import ended, fork
from studium.workers.job import Job, Tell

CALL, FORK = b"c", b"f"
CODE = struct.Struct("!i")  # an exit code


def serve(control: int, tell: Tell) -> None:
    """Serve one control socket until it is closed."""
    _Server(socket.socket(fileno=control)).serve()


class _Server:
    """``links`` are those of the forks, by process id."""

    def __init__(self, control: socket.socket) -> None:
        self.control = control
        self.links: dict[int, socket.socket] = {}
        self.woken, self.waker = os.pipe()
        os.set_blocking(self.waker, False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.set_wakeup_fd(self.waker, warn_on_full_buffer=False)

    def serve(self) -> None:
        """Fork on request, kill forks whose link is closed, and report how each one ended."""
        listening = True
        while listening:
            waited: list[socket.socket | int] = [self.control, self.woken, *self.links.values()]
            ready, _, _ = select.select(waited, [], [])
            if self.woken in ready:
                os.read(self.woken, 4096)
            for pid in self.links.copy():
                self._reap(pid, now=self.links[pid] in ready)
            listening = self.control not in ready or self._answer()
        for pid in self.links.copy():
            self._reap(pid, now=True)

    def _answer(self) -> bool:
        verb, descriptors, _, _ = socket.recv_fds(self.control, 1, 1)
        if not verb:
            return False
        with contextlib.suppress(Exception):  # whatever fails here fails again in the job, which reports it
            link = socket.socket(fileno=descriptors[0])
            with contextlib.ExitStack() as closing:
                closing.enter_context(link)
                with link.makefile("rb") as stream:
                    job: Job = pickle.load(stream)  # noqa: S301  it comes from the process that started this one
                if verb == CALL:
                    job.run()
                elif not _may_fork():
                    link.sendall(b"n")
                else:
                    self.links[fork(lambda: self._live(job))] = link
                    closing.pop_all()
                    link.sendall(b"y")  # if it was given up in the meantime, the next round notices
        return True

    def _live(self, job: Job) -> None:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # it may print without end
        os.close(self.woken)
        os.close(self.waker)
        for one in (self.control, *self.links.values()):
            one.close()
        random.seed()
        for name, seed in (("numpy.random", "seed"), ("torch", "seed")):  # a fork starts with its parent's numbers
            if module := sys.modules.get(name):
                getattr(module, seed)()
        job.run()

    def _reap(self, pid: int, *, now: bool) -> None:
        if (code := ended(pid, now=now)) is not None:
            with contextlib.suppress(OSError), self.links.pop(pid) as link:
                link.sendall(CODE.pack(code))


def _may_fork() -> bool:
    """Return whether there is only one thread: another one might hold a lock at the moment of the fork."""
    tasks = Path("/proc/self/task")
    return not tasks.is_dir() or len(list(tasks.iterdir())) == 1
