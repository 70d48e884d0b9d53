"""The time that explaining a wrong answer may take: in all, and for one call that may never end."""

import contextlib
import io
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

SECONDS = 0.1
_AGAIN = 0.01  # seconds between two attempts to end a call
_PATIENCE = 10  # times as long may a call take that does not work itself: it waits, or the machine is busy


class OutOfTime(BaseException):
    """A call was ended because its time was up. It is no Exception, which would be taken for the answer's own."""


@dataclass
class Budget:
    """So many seconds of ``clock`` from now on.

    The clock is that of this thread's own work, so that a sentence does not depend on what else the machine does.
    ``interrupts``: a call that takes longer is ended.
    """

    seconds: float = SECONDS
    clock: Callable[[], float] = time.thread_time
    interrupts: bool = True
    _start: float = field(init=False)

    def __post_init__(self) -> None:
        self._start = self.clock()

    @property
    def left(self) -> float:
        """The seconds that are left; 0 or less once the time is up."""
        return self.seconds - (self.clock() - self._start)

    @property
    def spent(self) -> bool:
        """Whether the time is up."""
        return self.left <= 0

    def share(self, fraction: float) -> "Budget":
        """Return a budget of a part of what is left, on the same clock."""
        return Budget(max(0.0, self.left) * fraction, self.clock, self.interrupts)


def can_interrupt() -> bool:
    """Return whether a call can be ended from outside here: on Unix, in the main thread."""
    return hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()


@contextlib.contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raise OutOfTime in the block once it has worked for so many seconds, and again while that is caught.

    One that waits is ended after ten times as long. What the block prints is not shown. Only where ``can_interrupt``.
    A timer that ran before goes on afterwards. An import is finished first: half a package would stay until the
    process ends, and spoil everything that imports it later.
    """
    running, telling = True, False

    def tell(unraisable: "UnraisableHookArgs") -> None:
        """Leave out an OutOfTime in a destructor, after which Python goes on: the next one ends the block."""
        nonlocal telling
        if not (unraisable.exc_type and issubclass(unraisable.exc_type, OutOfTime)):
            telling = True
            hook(unraisable)
            telling = False

    def end(number: int, frame: FrameType | None) -> None:
        """Raise, but never where a context is left: what it has changed must be put back."""
        if (
            running
            and not telling
            and (time.thread_time() - worked >= seconds or time.monotonic() - began >= _PATIENCE * seconds)
            and frame is not None
            and frame.f_globals.get("__name__") not in (__name__, "contextlib")
            and not _imports(frame)
        ):
            raise OutOfTime

    began, worked, hook = time.monotonic(), time.thread_time(), sys.unraisablehook
    sys.unraisablehook = tell
    handler = signal.signal(signal.SIGALRM, end)
    before, interval = signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-3), _AGAIN)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        running = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        sys.unraisablehook = hook
        if before:
            signal.setitimer(signal.ITIMER_REAL, max(before - (time.monotonic() - began), 1e-3), interval)


def _imports(frame: FrameType | None) -> bool:
    """Return whether an import is going on in this frame or one that called it."""
    while frame is not None:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        frame = frame.f_back
    return False
