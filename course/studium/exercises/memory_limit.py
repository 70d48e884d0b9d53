"""Limit what an answer may allocate, so a test can check that it builds no large table, wherever the answer runs.

The kernel enforces the limit, so it covers every library's memory and costs nothing. That requires Linux; elsewhere
nothing is measured.
"""

import contextlib
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from studium.workers.ends import data_limit

if sys.platform.startswith("linux"):
    import resource

Limiter = Callable[[float], AbstractContextManager[None]]
_SIGNS = ("can't allocate memory", "Cannot allocate memory", "bad_alloc", "Unable to allocate")


class TooMuchMemoryError(AssertionError):
    """An answer needed more memory than a test allows."""


@contextmanager
def at_most_mb(megabytes: float, why: str = "") -> Iterator[None]:
    """Let the answer allocate at most this much more memory inside the block; an answer that needs more fails the test.

    ``why`` ends the sentence that the learner reads: "no table of queries by keys may exist". Call the answer inside
    the block and compare its result after it. Choose data for which the table takes twice the limit, and at least 64
    MB, because smaller pieces may fit into memory that was used before. A GPU's memory does not count, and on macOS and
    Windows nothing is measured.
    """
    failed = ""
    with _limiter(megabytes):
        try:
            yield
        except (MemoryError, RuntimeError) as error:
            if not ran_out(type(error), str(error)):
                raise
            failed = f"your code needs more than {megabytes:g} MB of memory here" + (f": {why}" if why else "")
    if failed:
        raise TooMuchMemoryError(failed)


def ran_out(kind: type[BaseException] | None, text: str) -> bool:
    """Return whether an exception with this class and text means that memory ran out."""
    if kind is None or not issubclass(kind, MemoryError | RuntimeError):
        return False
    return issubclass(kind, MemoryError) or any(sign in text for sign in _SIGNS)


def limit_elsewhere(limiter: Limiter) -> None:
    """From now on, limit the process in which the answer runs instead of this one."""
    global _limiter
    _limiter = limiter


@contextmanager
def _limit_this_process(megabytes: float) -> Iterator[None]:
    """Lower this process's own limit; if the process may not change it, measure nothing."""
    before = _lowered(megabytes)
    try:
        with _one_thread():
            yield
    finally:
        if before:
            resource.setrlimit(resource.RLIMIT_DATA, before)


def _lowered(megabytes: float) -> tuple[int, int] | None:
    """Lower the limit and return the old one; None if that is impossible."""
    if not sys.platform.startswith("linux"):
        return None
    before = resource.getrlimit(resource.RLIMIT_DATA)
    with contextlib.suppress(ValueError, OSError):  # a lower limit is already set
        resource.setrlimit(resource.RLIMIT_DATA, (data_limit(megabytes), before[1]))
        return before
    return None


@contextmanager
def _one_thread() -> Iterator[None]:
    """Prevent new threads for a while: each one's stack counts, and their number depends on the machine."""
    torch = sys.modules.get("torch")
    if torch is None:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


_limiter: Limiter = _limit_this_process
