"""How a process ends with everything that it started, also when the one that started it is gone, and its limits."""

import contextlib
import os
import select
import signal
import sys
from pathlib import Path


def end_session(leader: int) -> None:
    """Kill the process that leads a session, and what it has started there, even if it has ended itself."""
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(leader, signal.SIGKILL)


def die_with(alive: int) -> None:
    """Have the kernel kill this process's whole group when the other end of a pipe closes, even by a ``kill -9``.

    Only Linux can do this. Unlike PR_SET_PDEATHSIG, it does not depend on the thread that started the process, and it
    reaches what the process has started.
    """
    if not sys.platform.startswith("linux"):
        return
    import fcntl

    fcntl.fcntl(alive, fcntl.F_SETOWN, -os.getpgrp())
    fcntl.fcntl(alive, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(alive, fcntl.F_SETFL, os.O_ASYNC)
    other_end = select.poll()
    other_end.register(alive, 0)
    if other_end.poll(0):  # it was closed before the kernel knew
        os._exit(1)


def limit_memory(more_mb: float) -> None:
    """Limit how much more memory this process may take, so an allocation fails instead of the whole machine."""
    if not more_mb or not sys.platform.startswith("linux"):  # other systems do not enforce the limit
        return
    import resource

    most = data_limit(more_mb)
    with contextlib.suppress(ValueError, OSError):  # a lower limit is already set
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def data_limit(more_mb: float) -> int:
    """Return the RLIMIT_DATA in bytes with which this process can allocate so many MB more. Only Linux has it."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[5])  # data and stack, as the limit counts them
    return pages * os.sysconf("SC_PAGE_SIZE") + int(more_mb * 2**20)
