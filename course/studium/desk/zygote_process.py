"""The warm process itself: it imports what lessons import, forks itself on request, and reaps.

A learner's code runs only in the forks. The process ends when the one that started it does.
"""

import ast
import contextlib
import ctypes
import gc
import json
import os
import random
import select
import signal
import socket
import sys
import traceback
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from studium.catalogue.catalogue import load_catalogue
from studium.desk.check_process import Request, prepare, prepare_topic, run
from studium.desk.zygote import CODE, HEADER
from studium.exercises.syntax import parse
from studium.topics.topic import Topic

_PR_SET_PDEATHSIG = 1


class Server:
    """Serves one control socket until it is closed. ``links`` are those of the forks, by process id."""

    def __init__(self, control: socket.socket) -> None:
        self.control = control
        self.links: dict[int, socket.socket] = {}
        self.catalogue = load_catalogue()
        self.shell = prepare()
        self.warmed: set[str] = set()
        self.woken, waker = os.pipe()
        os.set_blocking(waker, False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.set_wakeup_fd(waker, warn_on_full_buffer=False)

    def serve(self) -> None:
        """Fork on request, kill forks whose link is closed, and report how each one ended."""
        while True:
            by_link = {link.fileno(): pid for pid, link in self.links.items()}
            control = self.control.fileno()
            ready, _, _ = select.select([control, self.woken, *by_link], [], [])
            for descriptor in ready:
                if descriptor in by_link:
                    _kill(by_link[descriptor])
            if self.woken in ready:
                os.read(self.woken, 4096)
            self._reap()
            if control in ready and not self._answer():
                break
        for pid in self.links:
            _kill(pid)

    def _answer(self) -> bool:
        header, descriptors, _, _ = socket.recv_fds(self.control, HEADER.size, 1)
        if len(header) < HEADER.size:
            return False
        message = json.loads(_exactly(self.control, HEADER.unpack(header)[0]))
        if "warm" in message:
            self._warm(message["warm"])
            return True
        link = socket.socket(fileno=descriptors[0])
        request = msgspec.json.decode(Path(message["check"]).read_bytes(), type=Request)
        self._warm(request.topic)
        if not _may_fork():
            link.sendall(b"n")
            link.close()
            return True
        server = os.getpid()
        if (pid := os.fork()) == 0:
            self._live(request, message["folder"], server)
        with contextlib.suppress(OSError):  # it was given up in the meantime, which the next round notices
            link.sendall(b"y")
        self.links[pid] = link
        return True

    def _warm(self, slug: str) -> None:
        if slug in self.warmed:
            return
        with contextlib.suppress(Exception):  # the check itself reports that
            topic = self.catalogue[slug]
            prepare_topic(topic)
            _import_as_lesson(topic)
            _use_torch()
            self.warmed.add(slug)
        gc.collect()
        gc.freeze()

    def _live(self, request: Request, folder: str, server: int) -> NoReturn:
        code = 1
        try:
            _become_a_fork(self, server)
            os.chdir(folder)
            sys.path[0] = folder  # as in a process started there
            run(request, self.shell, self.catalogue[request.topic])
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)

    def _reap(self) -> None:
        with contextlib.suppress(ChildProcessError):  # there is none
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                pid, status = ended
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(pid, signal.SIGKILL)  # what it left behind
                if link := self.links.pop(pid, None):
                    with contextlib.suppress(OSError), link:
                        link.sendall(CODE.pack(os.waitstatus_to_exitcode(status)))


def _become_a_fork(server: Server, parent: int) -> None:
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
    for one in (server.control, *server.links.values()):
        one.close()
    random.seed()
    for name, seed in (("numpy.random", "seed"), ("torch", "seed")):  # a fork starts with its parent's random numbers
        if module := sys.modules.get(name):
            getattr(module, seed)()


def _kill(pid: int) -> None:
    """Kill a fork that nobody has waited for yet, with its whole session."""
    for end in (os.killpg, os.kill):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            end(pid, signal.SIGKILL)


def _may_fork() -> bool:
    """Return whether there is only one thread: another one might hold a lock at the moment of the fork."""
    tasks = Path("/proc/self/task")
    return not tasks.is_dir() or len(list(tasks.iterdir())) == 1


def _import_as_lesson(topic: Topic) -> None:
    """Import everything that a lesson imports. If a statement fails, the cell it is in will report that."""
    for node in parse(topic.lesson.read_text("utf-8")).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            with contextlib.suppress(Exception):
                exec(compile(ast.Module([node], []), "<lesson>", "exec"), {})  # noqa: S102


def _use_torch() -> None:
    """Use torch once, with one thread: first uses take up to seconds, especially for optimisers."""
    torch: Any = sys.modules.get("torch")
    if torch is None:
        return
    layer = torch.nn.Linear(2, 2)
    optimizer = torch.optim.Adam(layer.parameters())
    layer(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    repr(torch.ones(2))


def _exactly(control: socket.socket, length: int) -> bytes:
    data = b""
    while len(data) < length:
        data += (part := control.recv(length - len(data)))
        if not part:
            sys.exit()
    return data


if __name__ == "__main__":
    Server(socket.socket(fileno=int(sys.argv[1]))).serve()
