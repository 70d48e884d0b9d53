"""What a process has started, read from ``/proc``: to measure it and to end it."""

import contextlib
import os
import signal
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100  # in a second, of what the kernel counts


class Usage(NamedTuple):
    """What a process and all that it started use together: MB in memory, and how many they are with their threads.

    ``waited`` are the seconds that the one of them that waited longest for a processor had to, ``computed`` those that
    the one of them that had a processor longest had it; 0 where nobody knows.
    """

    memory_mb: float
    tasks: int
    waited: float = 0.0
    computed: float = 0.0


def children(pid: int) -> list[int]:
    """Return the ids of a process's children; empty where it is gone."""
    try:
        tasks = os.listdir(f"/proc/{pid}/task")  # noqa: PTH208  pathlib is slow here
        return [child for task in tasks for child in _children_of_task(pid, task)]
    except FileNotFoundError:
        return []


def _children_of_task(pid: int, task: str) -> list[int]:
    with (
        contextlib.suppress(FileNotFoundError, ProcessLookupError),
        open(f"/proc/{pid}/task/{task}/children", "rb", buffering=0) as file,  # noqa: PTH123  pathlib is slow here
    ):
        return [int(word) for word in file.readall().split()]
    return []


def descendants(pid: int) -> Iterator[int]:
    """Return the ids of all that a process started and that is still its own."""
    for child in children(pid):
        yield child
        yield from descendants(child)


def usage(pid: int, memory_limit_mb: float) -> Usage:
    """Measure a process and its descendants.

    Memory that a fork shares with its parent counts twice at first, which is quick to find out; where that is more
    than ``memory_limit_mb``, each page is shared out among those that have it.
    """
    pids = [pid, *descendants(pid)]
    tasks = sum(_tasks(one) for one in pids)
    memory = sum(_kilobytes(one, "status", ("RssAnon:", "RssShmem:", "VmSwap:")) for one in pids) / 1024
    if memory > memory_limit_mb:
        memory = sum(_kilobytes(one, "smaps_rollup", ("Pss_Anon:", "Pss_Shmem:", "SwapPss:")) for one in pids) / 1024
    return Usage(memory, tasks, max(map(_waited, pids)), max(map(_computed, pids)))


def _waited(pid: int) -> float:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError):
        return int(Path(f"/proc/{pid}/schedstat").read_bytes().split()[1]) / 1e9
    return 0.0


def _computed(pid: int) -> float:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError):
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS
    return 0.0


def _tasks(pid: int) -> int:
    try:
        return len(os.listdir(f"/proc/{pid}/task"))  # noqa: PTH208
    except FileNotFoundError:
        return 0


def _kilobytes(pid: int, file: str, fields: tuple[str, ...]) -> int:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError):
        lines = Path(f"/proc/{pid}/{file}").read_text().splitlines()
        return sum(int(line.split()[1]) for line in lines if line.startswith(fields))
    return 0


def end_orphans(known: Collection[int], seconds: float = 5.0) -> bool:
    """Kill and reap every child of this process that is not in ``known``; tell whether none is left.

    This process must be a subreaper: what a dead child left behind then becomes its own child, round after round.
    """
    me, end = os.getpid(), time.monotonic() + seconds
    while orphans := [pid for pid in children(me) if pid not in known]:
        for pid in orphans:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for pid in orphans:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)
        if time.monotonic() > end:
            return False
    return True
