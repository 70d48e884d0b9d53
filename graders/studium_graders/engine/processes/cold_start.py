"""Where no warm process can be forked (macOS, Windows): fresh processes, started ahead, one for each attempt.

There is no sandbox there. What is graded so is labelled "self-check".
"""

import contextlib
import gc
import importlib
import os
import socket
import subprocess
import sys
import threading
from collections import deque

import psutil

from studium_graders.engine.processes.interpreter import command, environment
from studium_graders.engine.processes.launcher import Launcher
from studium_graders.engine.processes.links import LinkClosedError, receive_bytes, send_bytes
from studium_graders.engine.processes.process_tree import Usage
from studium_graders.engine.processes.zygote import START_SECONDS, ZygoteError, role_name

_WINDOWS = sys.platform == "win32"
_MODULE = "studium_graders.engine.processes.cold_start"
_END_SECONDS = 20.0


class ColdProcess:
    """A process that has its work. It and what it started, as far as it is still its child, can be ended."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process
        self.pid = process.pid

    def kill(self) -> None:
        """End it and its children; not an error where it has ended."""
        with contextlib.suppress(psutil.NoSuchProcess):
            for child in psutil.Process(self._process.pid).children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    child.kill()
        self._process.kill()

    def usage(self, memory_limit_mb: float) -> Usage:
        """Measure it and its children; memory that they share counts for each."""
        memory, tasks = 0.0, 0
        with contextlib.suppress(psutil.Error):
            one = psutil.Process(self._process.pid)
            for process in (one, *one.children(recursive=True)):
                memory += process.memory_info().rss / 2**20
                tasks += process.num_threads()
        return Usage(memory, tasks)

    def ended(self, seconds: float) -> bool:
        """Wait at most so long; tell whether it has ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        return self._process.poll() is not None

    def wait(self) -> int | None:
        """Return its wait status, None where it does not end."""
        code = self._process.returncode if self.ended(_END_SECONDS) else None
        return code if code is None else -code if code < 0 else code << 8


class _Waiting:
    """A process that was started ahead and waits for its work."""

    def __init__(self, role: str, setup: bytes) -> None:
        self.role = role
        self.control, theirs = socket.socketpair()
        with theirs:
            number = "" if _WINDOWS else str(theirs.fileno())
            self.process = subprocess.Popen(
                command(_MODULE, role, number),
                env=environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=() if _WINDOWS else (theirs.fileno(),),
                start_new_session=True,
            )
            assert self.process.stdin is not None
            with self.process.stdin as line:
                line.write(_shared(theirs, self.process.pid) if _WINDOWS else b"")
        self.control.settimeout(START_SECONDS)
        with contextlib.suppress(LinkClosedError):  # noticed when it is needed
            send_bytes(self.control, setup)

    def begin(self, sockets: list[socket.socket]) -> ColdProcess:
        """Return it its work; raise ZygoteError where it did not come up."""
        try:
            wrong = receive_bytes(self.control).decode()
            if not wrong:
                self._give(sockets)
        except (LinkClosedError, TimeoutError, OSError) as error:
            self.end()
            raise ZygoteError(f"the {role_name(self.role)} process must start: it did not") from error
        self.control.close()
        if wrong:
            self.end()
            raise ZygoteError(f"the {role_name(self.role)} process must be fit for grading: {wrong}")
        return ColdProcess(self.process)

    def _give(self, sockets: list[socket.socket]) -> None:
        if _WINDOWS:
            for one in sockets:
                send_bytes(self.control, _shared(one, self.process.pid))
        else:
            socket.send_fds(self.control, [b"s"], [one.fileno() for one in sockets])

    def end(self) -> None:
        """End it unused."""
        self.control.close()
        self.process.kill()
        self.process.wait()


class ColdStart(Launcher):
    """Has some processes of a role in stock. In the place of ``Zygote``, with the same role and setup."""

    def __init__(self, role: str, setup: bytes = b"", *, stock: int = 1) -> None:
        super().__init__(role, setup)
        self.stock = stock
        self._lock = threading.Lock()
        self._waiting: deque[_Waiting] = deque()

    def start(self) -> None:
        """Fill the stock."""
        with self._lock:
            self._fill()

    def launch(self, sockets: list[socket.socket]) -> ColdProcess:
        """Return work to a process, and start the next one. Raise ZygoteError where it does not come up."""
        with self._lock:
            self._fill()
            one = self._waiting.popleft()
            self._fill()
        return one.begin(sockets)

    def _fill(self) -> None:
        while len(self._waiting) < self.stock:
            self._waiting.append(_Waiting(self.role, self.setup))

    def close(self) -> None:
        """End what is in stock."""
        with self._lock:
            while self._waiting:
                self._waiting.pop().end()


def _shared(one: socket.socket, pid: int) -> bytes:
    content: bytes = one.share(pid)  # type: ignore[attr-defined]  # Windows alone has it
    return content


def main(role: str, number: str) -> None:
    """Be a process in stock: prepare, say what is wrong or "", take the work, do it."""
    sys.argv[:] = [""]
    gc.disable()  # as in a warm process
    control = _from_share(sys.stdin.buffer.read()) if _WINDOWS else socket.socket(fileno=int(number))
    setup = receive_bytes(control)
    try:
        module = importlib.import_module(role)
        prepared, wrong = module.prepare(setup), ""
        gc.freeze()
        gc.enable()
    except Exception as error:
        prepared, wrong = None, f"{type(error).__name__}: {error}"
    send_bytes(control, wrong.encode())
    with contextlib.suppress(LinkClosedError):
        descriptors = _taken(control)
        control.close()
        if descriptors:
            module.run(prepared, descriptors)
    os._exit(0)


def _taken(control: socket.socket) -> list[int]:
    if _WINDOWS:
        return [_from_share(receive_bytes(control)).detach() for _ in range(2)]
    return list(socket.recv_fds(control, 1, 2)[1])


def _from_share(content: bytes) -> socket.socket:
    shared: socket.socket = socket.fromshare(content)  # type: ignore[attr-defined]
    return shared
