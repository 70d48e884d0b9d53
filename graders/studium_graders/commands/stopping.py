"""Stopping tidily: ``kill``, a scheduler or a closing terminal ends a command just as Ctrl-C does."""

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from studium.errors import StoppedError

_NOWHERE = logging.NullHandler()
_NAMES = ("SIGTERM", "SIGHUP")  # Windows lacks the second


@contextmanager
def stoppable(then: str = "") -> Iterator[None]:
    """Make signals that ask this process to end raise KeyboardInterrupt; signals that are ignored, as by nohup, stay
    ignored.

    If ``then`` explains what is kept and how to continue, raise StoppedError instead. If the interruption came while a
    database was being closed, SQLAlchemy would also log it as its own error.
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
