"""What a test does not do in the judge, whatever its text hides: evaluate what came from elsewhere, reach outside.

An audit hook refuses it while a test runs. What libraries generate for themselves, and what an import runs, is theirs.
Files and the network are Landlock's to refuse: see ``sandbox/reach.py``.

https://docs.python.org/3/library/audit_events.html
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_EVALUATING = ("compile", "marshal.load", "marshal.loads", "pickle.find_class", "code.__new__")
_REACHING = (
    *("os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.kill", "os.killpg"),
    *("pty.spawn", "subprocess.Popen"),
    *("socket.connect", "socket.bind", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname"),
)
_STARTING = ("subprocess.Popen", "os.fork")  # as a compiler does
_GENERATORS = ("ast", "dataclasses", "collections", "unittest.mock", "typing", "scipy.stats", "scipy._lib")
_COMPILERS = ("torch._dynamo", "torch._inductor", "torch.fx", "triton")


class EvaluationRefusedError(TypeError):
    """A test evaluates text or bytes."""


class ReachRefusedError(PermissionError):
    """A test starts a program, opens a connection, or imports what is not on the list."""


class _Guard:
    """The state of this process's hook. ``refused`` is what the test that runs was refused first."""

    def __init__(self) -> None:
        self.installed = False
        self.compiles = False
        self.watching = False
        self.refused: Exception | None = None


_guard = _Guard()


def _hear(event: str, args: tuple[Any, ...]) -> None:
    """Be the audit hook; a plain function, for Python asks it for an attribute each time."""
    if _guard.watching and (event in _EVALUATING or event in _REACHING):
        error = _refusal(event, sys._getframe(1))
        if error is not None:
            _guard.refused = _guard.refused or error
            raise error


def _refusal(event: str, frame: FrameType) -> Exception | None:
    if event in _REACHING:
        allowed = _guard.compiles and event in _STARTING
        return None if allowed else ReachRefusedError(f"{event} is refused in the process that keeps the tests")
    if _is_within(frame, _GENERATORS) or any(map(_runs_a_library, _stack(frame))):
        return None
    return EvaluationRefusedError("text or bytes are not evaluated in the process that keeps the tests")


def install(*, compiles: bool) -> None:
    """Watch over the tests of this process and of its forks. With ``compiles`` they use torch's compiler."""
    _guard.compiles = compiles
    if not _guard.installed:
        sys.addaudithook(_hear)
    _guard.installed = True


@contextmanager
def watched() -> Iterator[Callable[[], Exception | None]]:
    """Watch over a test; what this gives tells what it was refused, though it may have caught that."""
    _guard.watching, _guard.refused = True, None
    try:
        yield lambda: _guard.refused
    finally:
        _guard.watching = False


def _stack(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _is_within(frame: FrameType, packages: tuple[str, ...]) -> bool:
    module = str(frame.f_globals.get("__name__", ""))
    return any(f"{module}.".startswith(f"{package}.") for package in packages)


def _runs_a_library(frame: FrameType) -> bool:
    """Return whether a frame is an import, or torch's compiler where a test is known to use it."""
    imports = frame.f_code.co_filename.startswith("<frozen importlib")
    return imports or (_guard.compiles and _is_within(frame, _COMPILERS))
