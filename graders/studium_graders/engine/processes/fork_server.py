"""A warm process that forks itself on request: the child's side of ``zygote``. It runs on Linux alone.

``be_warm(role, control)`` imports the module ``role``, which has ``SECRETS`` (may it know tests?), ``prepare(setup)``
and ``run(prepared, descriptors)``, the life of one fork; ``fork(prepared)`` may stand in for ``os.fork``. How a fork
ended is told after everything that it had started is gone.
"""

import contextlib
import ctypes
import gc
import importlib
import os
import select
import shutil
import signal
import socket
import struct
import sys
import traceback
from pathlib import Path
from typing import Any, NoReturn, Protocol

from studium_graders.engine.processes.exit_codes import ENGINE_FAILED
from studium_graders.engine.processes.links import LinkClosedError, receive_bytes, send_bytes
from studium_graders.engine.processes.process_tree import end_orphans
from studium_graders.engine.processes.purity import impurities

STATUS = struct.Struct("!i")
MOST_DESCRIPTORS = 4
HOME = "studium-home-"  # how the name of a home begins that is the warm process's alone
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_libc = ctypes.CDLL(None)


class Role(Protocol):
    """What a module must have to be forked from a warm process."""

    SECRETS: bool

    def prepare(self, setup: bytes) -> Any:
        """Load and warm up all that every fork needs; what this gives, each fork gets."""

    def run(self, prepared: Any, descriptors: list[int]) -> None:
        """Live the life of one fork."""


class ForkServer:
    """Serves requests on one socket until it is closed. ``children`` are the pipes to tell each fork's end to."""

    def __init__(self, role: Role, control: socket.socket) -> None:
        self.role = role
        self.control = control
        self.children: dict[int, int] = {}
        self.prepared: Any = None
        self.woken, waker = os.pipe()
        os.set_blocking(waker, False)
        self.descriptors = {control.fileno(), self.woken, waker}
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.set_wakeup_fd(waker, warn_on_full_buffer=False)

    def prepare(self) -> list[str]:
        """Warm up, then give what is wrong with this process."""
        given = dict(os.environ)
        self.prepared = self.role.prepare(receive_bytes(self.control))
        for name in set(os.environ) - set(given):  # a library's own notes, such as where torch keeps its cache
            del os.environ[name]
        gc.freeze()
        gc.enable()
        return list(impurities(self.descriptors, secrets=self.role.SECRETS))

    def serve(self) -> None:
        """Fork on request and reap, until nobody listens any more."""
        waiting = select.poll()
        waiting.register(self.control, select.POLLIN)
        waiting.register(self.woken, select.POLLIN)
        while True:
            ready = dict(waiting.poll())
            if self.woken in ready:
                os.read(self.woken, 4096)
                self._reap()
            if self.control.fileno() in ready and not self._answer():
                return

    def _answer(self) -> bool:
        request, descriptors, _, _ = socket.recv_fds(self.control, 1, MOST_DESCRIPTORS)
        if not request:
            return False
        *own, status = descriptors
        server = os.getpid()
        pid = self.role.fork(self.prepared) if hasattr(self.role, "fork") else os.fork()
        if pid == 0:
            self._live(own, server)
        self.children[pid] = status
        for descriptor in own:
            os.close(descriptor)
        handle = os.pidfd_open(pid)
        socket.send_fds(self.control, [STATUS.pack(pid)], [handle])
        os.close(handle)
        return True

    def _live(self, own: list[int], server: int) -> NoReturn:
        code = ENGINE_FAILED
        try:
            _become_a_fork(own, server)
            self.role.run(self.prepared, own)
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)

    def _reap(self) -> None:
        with contextlib.suppress(ChildProcessError):  # there is none
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                pid, status = ended
                if (pipe := self.children.pop(pid, None)) is not None:
                    self._tell(pipe, status)

    def _tell(self, pipe: int, status: int) -> None:
        if not end_orphans(self.children):
            sys.exit("processes that a fork left behind cannot be ended")
        try:
            os.write(pipe, STATUS.pack(status))
        except BrokenPipeError:
            pass  # nobody waits for this one any more
        finally:
            os.close(pipe)

    def stop(self) -> None:
        """End all forks and what they left behind."""
        end_orphans(())


def _become_a_fork(own: list[int], server: int) -> None:
    """Leave nothing of the server in a fork: no descriptors, no handlers; it dies with the server."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() not in (server, 0):  # 0: in a process namespace of its own
        os._exit(ENGINE_FAILED)
    first = 3
    for descriptor in sorted(own):
        os.closerange(first, descriptor)
        first = descriptor + 1
    os.closerange(first, 1 << 16)


def be_warm(role: str, control: socket.socket) -> None:
    """Be a warm process: say "" on the socket when all is well, else what is wrong; then serve."""
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    gc.disable()  # all that is imported stays: looking for what does not takes a fifth of the time
    try:
        server = ForkServer(importlib.import_module(role), control)
        wrong = "; ".join(server.prepare())
    except LinkClosedError:
        return
    except BaseException as error:
        traceback.print_exc()
        wrong = f"{type(error).__name__}: {error}"
    send_bytes(control, wrong.encode())
    if not wrong:
        server.serve()
        server.stop()


def main(role: str, descriptor: str) -> None:
    """Start a warm process of a role, whose socket has this number. Its home goes with it, also where nobody waits."""
    sys.argv[:] = [""]
    home = Path(os.environ["HOME"])
    try:
        be_warm(role, socket.socket(fileno=int(descriptor)))
    finally:
        if home.name.startswith(HOME):
            shutil.rmtree(home, ignore_errors=True)
    os._exit(0)  # taking apart all that was imported takes a third of a second
