"""Giving up a user, its groups, its capabilities and every way to get them back."""

import contextlib
import os
import platform
import signal
from collections.abc import Iterator
from io import FileIO

from studium_graders.engine.processes.exit_codes import ENGINE_FAILED
from studium_graders.engine.sandbox.levels import SandboxError
from studium_graders.engine.sandbox.system_calls import (
    PR_CAPBSET_DROP,
    PR_SET_DUMPABLE,
    PR_SET_KEEPCAPS,
    PR_SET_NO_NEW_PRIVS,
    PR_SET_PDEATHSIG,
    keep_capabilities,
    prctl,
    system_call,
)

# Users nobody has, one for each process that is alive: first of the range, and how many.
_RANGES = ((0x60000000, 1 << 22), (60000, 5000))
_NOBODY = 65534
_SET_REAL = {"x86_64": (117, 119), "aarch64": (147, 149)}  # setresuid, setresgid


def unused_user(pid: int) -> int:
    """Return the number of a user that this machine has no other process of, or nobody's where there is no room."""
    with open("/proc/self/uid_map", encoding="ascii") as text:  # noqa: PTH123  pathlib is slow here
        inside = [(int(first), int(first) + int(count)) for first, _, count in map(str.split, text)]
    for first, count in _RANGES:
        if any(low <= first and first + count <= high for low, high in inside):
            return first + pid % count
    return _NOBODY


def become(user: int, kept: int = 0) -> None:
    """Become ``user``, in no group but its own, with the capabilities ``kept`` alone; there is no way back."""
    os.setgroups([])
    prctl(PR_SET_KEEPCAPS, 1 if kept else 0)
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    keep_capabilities(kept)
    if os.getresuid() != (user, user, user) or os.getresgid() != (user, user, user):
        raise SandboxError(f"the user must be {user}; it is {os.getresuid()}")


@contextlib.contextmanager
def acting_for(user: int, group: int) -> Iterator[None]:
    """Be the real user and group of a process for a moment, as root, in this thread alone: so its limits may be set.

    A container's root often has not the capability that needs neither.
    """
    if os.geteuid() != 0:
        yield
        return
    before = os.getuid(), os.getgid()
    _set_real(user, group)
    try:
        yield
    finally:
        _set_real(*before)


def _set_real(user: int, group: int) -> None:
    """The C library's own functions would set those of all threads."""
    set_user, set_group = _SET_REAL[platform.machine()]
    system_call(set_group, group, -1, -1)
    system_call(set_user, user, -1, -1)


def drop_bounding_set() -> None:
    """Let no program that is started later have any capability."""
    with open("/proc/sys/kernel/cap_last_cap", encoding="ascii") as text:  # noqa: PTH123
        last = int(text.read())
    for capability in range(last + 1):
        prctl(PR_CAPBSET_DROP, capability)


def seal() -> None:
    """No new privileges by starting programs; ``/proc/self`` belongs to this process again after a change of user."""
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    prctl(PR_SET_DUMPABLE, 1)


@contextlib.contextmanager
def die_with_parent(parent: int = 0) -> Iterator[None]:
    """From the end of the block on, be killed when the parent ends; end with the block if it ended within.

    ``parent`` is its id (0: whatever it is now). A change of user in the block would undo an earlier call.
    """
    with open("/proc/self/status", "rb", buffering=0) as status:  # noqa: PTH123  as seen from outside, also later
        parent = parent or _parent(status)
        yield
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if _parent(status) != parent:
            os._exit(ENGINE_FAILED)


def _parent(status: FileIO) -> int:
    status.seek(0)
    return next(int(line[5:]) for line in status.read(4096).splitlines() if line.startswith(b"PPid:"))
