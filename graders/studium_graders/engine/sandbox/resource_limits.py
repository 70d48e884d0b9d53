"""The limits that the kernel keeps for each process: memory, CPU time, file size, open files, processes."""

import contextlib
import os
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from studium_graders.course.limits import Limits
from studium_graders.engine.sandbox.privileges import acting_for
from studium_graders.engine.sandbox.system_calls import PAGE

with contextlib.suppress(ImportError):  # Windows, where there is the self-check alone
    import resource

_MB = 1 << 20
_SLACK_MB = 4096  # address space that is reserved and not used: stacks and heaps of threads, libraries
_GRACE_SECONDS = 2


def limit_resources(limits: Limits, *, devices: bool = False, others: int = 0) -> None:
    """Apply ``limits`` to this process, on top of the memory it has; what it starts inherits them.

    ``devices``: a GPU's driver reserves address space without end, so that it is not limited. ``others`` are the
    processes and threads of the same user that are none of the student's.
    """
    total, data = _pages_of("self")
    memory = limits.memory_mb * _MB
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_DATA, data * PAGE + memory)
    if not devices:
        _limit(resource.RLIMIT_AS, total * PAGE + memory + _SLACK_MB * _MB)
    _limit(resource.RLIMIT_FSIZE, limits.disk_mb * _MB)
    _limit(resource.RLIMIT_NOFILE, limits.open_files)
    _limit(resource.RLIMIT_NPROC, limits.processes + others)
    _limit(resource.RLIMIT_MSGQUEUE, 0)
    seconds = int(limits.cpu_seconds + 0.999)
    _limit(resource.RLIMIT_CPU, seconds, seconds + _GRACE_SECONDS)


def limit_data_of(pids: Iterable[int], megabytes: float | None) -> None:
    """Let each of these processes allocate so many MB beyond what it has; None: as much as it could at first.

    The limit that it could at first is the hard one, which stays. A process that is gone is no error.
    """
    if sys.platform.startswith("linux"):
        for pid in pids:
            with contextlib.suppress(ProcessLookupError, FileNotFoundError, ValueError):  # gone, or it may have less
                _limit_data(pid, megabytes)


def _limit_data(pid: int, megabytes: float | None) -> None:
    owner = Path(f"/proc/{pid}").stat()
    with acting_for(owner.st_uid, owner.st_gid):
        hard = resource.prlimit(pid, resource.RLIMIT_DATA)[1]
        wanted = hard if megabytes is None else _pages_of(pid)[1] * PAGE + int(megabytes * _MB)
        resource.prlimit(pid, resource.RLIMIT_DATA, (wanted, hard))


def _limit(what: int, wanted: int, hard: int | None = None) -> None:
    """Never more than the process has."""
    most = resource.getrlimit(what)[1]
    hard = wanted if hard is None else hard
    if most != resource.RLIM_INFINITY:
        wanted, hard = min(wanted, most), min(hard, most)
    resource.setrlimit(what, (wanted, hard))


def _pages_of(pid: int | str) -> tuple[int, int]:
    """The address space and the private writable memory of a process, in pages."""
    fields = Path(f"/proc/{pid}/statm").read_text("ascii").split()
    return int(fields[0]), int(fields[5])


def prefer_as_victim() -> None:
    """When memory runs out, the kernel ends this process first."""
    Path("/proc/self/oom_score_adj").write_text("1000", "ascii")


@cache
def tasks_of_user(user: int) -> int:
    """Count the processes and threads that a user has at the moment of the first call."""
    count = 0
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                if entry.stat().st_uid == user:
                    count += len(os.listdir(f"{entry.path}/task"))  # noqa: PTH208
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue
    return count
