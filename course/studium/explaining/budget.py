"""The time that explaining a wrong answer may take: in all, and for one call that may never end."""

import contextlib
import io
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

SECONDS = 0.1


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
    """Raise OutOfTime in the block once so many seconds have passed; what it prints is not shown.

    Only where ``can_interrupt``. A timer that was running before goes on afterwards.
    """

    def end(number: int, frame: object) -> None:
        raise OutOfTime

    began = time.monotonic()
    handler = signal.signal(signal.SIGALRM, end)
    before, interval = signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-3), 1e-2)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        if before:
            signal.setitimer(signal.ITIMER_REAL, max(before - (time.monotonic() - began), 1e-3), interval)
