"""Being told to stop: ``kill``, a scheduler and a terminal that closes end a command as Ctrl-C does, and as tidily."""

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from studium.errors import StoppedError

_NOWHERE = logging.NullHandler()
_NAMES = ("SIGTERM", "SIGHUP")  # Windows has no second one


@contextmanager
def stoppable(then: str = "") -> Iterator[None]:
    """Let what asks this process to end raise KeyboardInterrupt meanwhile; what is ignored, as by nohup, stays so.

    Raise StoppedError in its place where ``then`` says what is kept and how to continue. Where the interruption falls
    into the closing of a database, SQLAlchemy would log it as an error of its own as well.
    """
    logging.getLogger("sqlalchemy").addHandler(_NOWHERE)
    numbers = [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]
    if threading.current_thread() is not threading.main_thread():
        numbers = []
    ours = [number for number in numbers if signal.getsignal(number) is signal.SIG_DFL]
    for number in ours:
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        if then:
            raise StoppedError(f"stopped; {then}") from None
        raise
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)
