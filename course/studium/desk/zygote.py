"""A warm process that is forked for each check: milliseconds instead of the seconds that importing torch takes.

This is the parent's side; ``zygote_process`` is the child's. Each fork has its own link, a socket: closing it kills the
fork and everything that it started, and the fork's exit code comes back on it. If processes cannot be forked, or the
warm one is not suitable, checks start cold.
"""

import contextlib
import json
import os
import select
import socket
import struct
import subprocess
import sys
import threading
from pathlib import Path

import msgspec

from studium.desk.check_process import Request
from studium.desk.clean_check import Child, environment, launch_cold

HEADER = struct.Struct("!I")  # the length of a message
CODE = struct.Struct("!i")  # an exit code
_ANSWER_SECONDS, _END_SECONDS = 120.0, 2.0


class _Fork:
    """One forked process, at the other end of a link."""

    def __init__(self, link: socket.socket) -> None:
        self._link = link
        self._code: int | None = None

    def poll(self) -> int | None:
        if self._code is None and select.select([self._link], [], [], 0)[0]:
            told = self._link.recv(CODE.size)
            self._code = CODE.unpack(told)[0] if len(told) == CODE.size else -9
        return self._code

    def kill(self) -> None:
        with contextlib.suppress(OSError):
            self._link.shutdown(socket.SHUT_WR)
            while self._code is None and select.select([self._link], [], [], _ANSWER_SECONDS)[0]:
                self.poll()
        self._link.close()


class Zygote:
    """A warm process, started when first needed and restarted if killed. Any thread may use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._fit = hasattr(os, "fork") and hasattr(socket, "send_fds")

    def warm(self, slug: str) -> None:
        """Have a topic imported, so its first check is quick too. Does not wait for it."""
        with self._lock, contextlib.suppress(OSError):
            if self._fit:
                self._send({"warm": slug}, [])

    def launch(self, request: Request, folder: Path) -> Child:
        """Fork a process that carries out a request; start one cold if that is not possible."""
        with self._lock:
            for _ in range(2 if self._fit else 0):  # the first attempt may find that the process was killed
                with contextlib.suppress(OSError):
                    if fork := self._fork(request, folder):
                        return fork
                    self._fit = False  # it reports that itself
                    break
                self._stop()
        return launch_cold(request, folder)

    def close(self) -> None:
        """End the warm process and all its forks."""
        with self._lock:
            self._stop()

    def _fork(self, request: Request, folder: Path) -> _Fork | None:
        path = Path(request.scratch) / "request"
        path.write_bytes(msgspec.json.encode(request))
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                self._send({"check": str(path), "folder": str(folder)}, [theirs.fileno()])
            ours.settimeout(_ANSWER_SECONDS)
            answer = ours.recv(1)
            ours.settimeout(None)
        except OSError:
            ours.close()
            raise
        if answer == b"y":
            return _Fork(ours)
        ours.close()
        if not answer:
            raise ConnectionResetError("the warm process is gone")
        return None

    def _send(self, message: dict[str, str], descriptors: list[int]) -> None:
        if self._process is None or self._process.poll() is not None:
            self._start()
        assert self._control is not None
        data = json.dumps(message).encode()
        socket.send_fds(self._control, [HEADER.pack(len(data))], descriptors)
        self._control.sendall(data)

    def _start(self) -> None:
        self._stop()
        self._control, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "studium.desk.zygote_process", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
                env=environment(),
            )

    def _stop(self) -> None:
        if self._control is not None:
            self._control.close()  # it ends its forks, then itself
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_END_SECONDS)
            self._process.kill()
            self._process.wait()
        self._control = self._process = None
