"""Warm processes that are forked for each submission: 5 ms instead of the seconds that importing torch takes.

The parent's side; ``fork_server`` is the child's. A zygote is started with a clean environment and one socket, or is
forked from another one, and is started again where somebody killed it.
"""

import contextlib
import os
import select
import signal
import socket
import subprocess
import tempfile
import threading

from studium_graders.engine.processes.fork_server import HOME, MOST_DESCRIPTORS, STATUS
from studium_graders.engine.processes.interpreter import command, environment, import_path
from studium_graders.engine.processes.launcher import Launcher
from studium_graders.engine.processes.links import LinkClosedError, receive_bytes, send, send_bytes
from studium_graders.engine.processes.own_folder import OwnFolder
from studium_graders.engine.processes.process_tree import Usage, usage

_STARTS = 3
START_SECONDS = 180.0
_FORK_SECONDS = 30.0
_END_SECONDS = 20.0
_SAID_NOTHING = "it was ended from outside, perhaps for want of memory; run the command again"


class ZygoteError(Exception):
    """A warm process could not be started, or is not fit for being forked. The text is a sentence."""


class ZygoteGoneError(Exception):
    """The warm process died while it was needed: try again."""


class Fork:
    """One forked process. ``wait`` gives how it ended, after everything that it had started was ended too."""

    def __init__(self, pid: int, handle: int, status: int) -> None:
        self.pid = pid
        self._handle = handle
        self._status = status

    def kill(self) -> None:
        """Kill the process; not an error where it has ended."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._handle, signal.SIGKILL)

    def usage(self, memory_limit_mb: float) -> Usage:
        """Measure the process and all that it started."""
        return usage(self.pid, memory_limit_mb)

    def ended(self, seconds: float) -> bool:
        """Wait at most so long; tell whether it has ended, and all that it started."""
        return _readable(self._status, seconds)

    def wait(self) -> int | None:
        """Return the wait status of the process and close this; None where its zygote died and nobody knows."""
        try:
            told = os.read(self._status, STATUS.size) if self.ended(_END_SECONDS) else b""
            if not told:  # its zygote is gone, and the kernel kills it at this moment
                _readable(self._handle, _END_SECONDS)
        finally:
            os.close(self._status)
            os.close(self._handle)
        return STATUS.unpack(told)[0] if told else None


class _Program:
    """A warm process that was started as a program of its own, where a fork of another one has to be told its role.

    Its home is a folder that ends with it: libraries write there when they are imported, as matplotlib its fonts.
    """

    def __init__(self, role: str, control: socket.socket) -> None:
        self._home = OwnFolder(HOME)
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  it lives as long as the process
        self._process = subprocess.Popen(
            command("studium_graders.engine.processes.fork_server", role, str(control.fileno())),
            env=environment() | {"HOME": self._home.name},
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._errors,
            pass_fds=(control.fileno(),),
            start_new_session=True,
        )
        self.pid = self._process.pid

    def kill(self) -> None:
        self._process.kill()

    def ended(self, seconds: float) -> bool:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        return self._process.poll() is not None

    def wait(self) -> None:
        self._process.wait()
        self._errors.close()
        self._home.cleanup()

    def said(self) -> str:
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else _SAID_NOTHING


def role_name(role: str) -> str:
    """Return the name of a role for people: "student", "judge"."""
    return role.rpartition(".")[2].removesuffix("_main")


def _readable(descriptor: int, seconds: float) -> bool:
    waiting = select.poll()
    waiting.register(descriptor, select.POLLIN)
    return bool(waiting.poll(seconds * 1000))


class Zygote(Launcher):
    """A warm process of one role. Many threads may fork from it at the same time.

    ``role`` is a module as in ``fork_server``; ``setup`` is given to its ``prepare``. With an ``ancestor``, whose role
    is ``ancestor_main``, it is a fork of that one and need not import torch again. ``instead`` is the setup for another
    start where a process with the first one is not fit.
    """

    def __init__(
        self, role: str, setup: bytes = b"", ancestor: "Zygote | None" = None, *, instead: bytes | None = None
    ) -> None:
        super().__init__(role, setup)
        self._ancestor = ancestor
        self._instead = instead
        self._lock = threading.Lock()
        self._process: _Program | Fork | None = None
        self._control: socket.socket | None = None
        self._ready = False

    @property
    def pid(self) -> int:
        """The id of the warm process; 0 where there is none."""
        return self._process.pid if self._process else 0

    def start(self) -> None:
        """Begin to warm up; the first fork waits for the end of it."""
        with self._lock:
            self._start()

    def fork(self, descriptors: list[int]) -> Fork:
        """Fork a process that gets ``descriptors``. Raise ZygoteError where that cannot be done.

        A zygote that was killed is started again.
        """
        with self._lock:
            for _ in range(_STARTS):
                self._be_ready()
                with contextlib.suppress(ZygoteGoneError):
                    return self._fork(descriptors)
        raise ZygoteError(f"the {role_name(self.role)} process must live: it was killed {_STARTS} times in a row")

    def launch(self, sockets: list[socket.socket]) -> Fork:
        """Fork a process that gets these sockets."""
        return self.fork([one.fileno() for one in sockets])

    def close(self) -> None:
        """End the warm process, all forks of it and all that they started."""
        with self._lock:
            self._stop()

    def _start(self) -> None:
        if self._process is not None:
            return
        self._control, theirs = socket.socketpair()
        with theirs:
            if self._ancestor is None:
                self._process = _Program(self.role, theirs)
            else:
                self._process = self._ancestor.launch([theirs])
        self._ready = False
        self._control.settimeout(START_SECONDS)
        with contextlib.suppress(LinkClosedError):  # noticed when it is needed
            if self._ancestor is not None:
                send(self._control, [self.role, *import_path()])
            send_bytes(self._control, self.setup)

    def _be_ready(self) -> None:
        self._start()
        assert self._control is not None
        if self._ready:
            return
        try:
            wrong = receive_bytes(self._control).decode()
            what = f"must be fit for grading: {wrong}" if wrong else ""
        except LinkClosedError:
            what = f"must start: it did not; {self._said()}"
        except TimeoutError:
            late = f"it was not ready within {START_SECONDS:.0f} s"
            what = f"must start: {late}; run the command again on a less busy machine"
        if what:
            self._stop()
            if self._instead is None:
                raise ZygoteError(f"the {role_name(self.role)} process {what}")
            self.setup, self._instead = self._instead, None
            self._be_ready()
            return
        self._control.settimeout(_FORK_SECONDS)
        self._ready = True

    def _said(self) -> str:
        if self._ancestor is not None:
            return self._ancestor._said()
        return self._process.said() if isinstance(self._process, _Program) else _SAID_NOTHING

    def _fork(self, descriptors: list[int]) -> Fork:
        assert self._control is not None
        assert len(descriptors) < MOST_DESCRIPTORS
        status, told = os.pipe()
        try:
            socket.send_fds(self._control, [b"f"], [*descriptors, told])
            reply, handles, _, _ = socket.recv_fds(self._control, STATUS.size, 1)
            if not reply:
                raise LinkClosedError
        except (OSError, LinkClosedError) as error:
            os.close(status)
            self._stop()
            raise ZygoteGoneError from error
        finally:
            os.close(told)
        return Fork(STATUS.unpack(reply)[0], handles[0], status)

    def _stop(self) -> None:
        if self._process is None or self._control is None:
            return
        self._control.close()
        if not self._process.ended(_END_SECONDS if self._ready else 0.1):
            self._process.kill()
        self._process.wait()
        self._process = self._control = None
        self._ready = False


def common_ancestor() -> Zygote:
    """Return the warm process that all engines of this process may share: it knows nothing of any course."""
    return Zygote("studium_graders.engine.supervision.ancestor_main")
