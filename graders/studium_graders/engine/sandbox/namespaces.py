"""Namespaces: a student's process gets its own users, processes, network, mounts, message queues and host name."""

import contextlib
import os
import signal
from pathlib import Path
from typing import NoReturn

from studium_graders.engine.sandbox import system_calls as kernel
from studium_graders.engine.sandbox.levels import Level, SandboxError
from studium_graders.engine.sandbox.privileges import die_with_parent

_OWN = kernel.CLONE_NEWNS | kernel.CLONE_NEWNET | kernel.CLONE_NEWIPC | kernel.CLONE_NEWUTS | kernel.CLONE_NEWCGROUP


def fork(level: Level) -> int:
    """Fork like ``os.fork``. As root, from L2 on, the child is process 1 of its own namespace already.

    That saves ``enter`` a second fork. The caller has one thread and goes on as it was.
    """
    if level < Level.L2 or not may_mount():
        return os.fork()
    zygote, child = os.getpid(), -1
    own = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    kernel.call("unshare", kernel.CLONE_NEWPID)
    try:
        child = os.fork()
    finally:
        if child != 0:
            kernel.call("setns", own, kernel.CLONE_NEWPID)
        os.close(own)
    if child == 0:
        _depend_on(zygote)
    return child


def _depend_on(parent: int) -> None:
    """In a new child: end with the parent, at once where it has ended already."""
    with die_with_parent(parent):
        pass


def may_mount() -> bool:
    """Return whether this process is root, and not a container's root that is held back."""
    return os.geteuid() == 0 and bool(kernel.capabilities() >> kernel.CAP_SYS_ADMIN & 1)


def numbers() -> list[int]:
    """Return the ids of this process: as ``/proc`` counts, then as each namespace of processes inside that counts."""
    with open("/proc/self/status", encoding="ascii") as status:  # noqa: PTH123  pathlib is slow here
        return next(list(map(int, line.split()[1:])) for line in status if line.startswith("NSpid:"))


def unshare_all(*, users: bool) -> None:
    """Leave the machine's namespaces. ``users``: also that of users, which is how it goes without being root.

    The namespace of processes is left by ``fork`` and by ``go_on_as_first_process``.
    """
    user, group = os.geteuid(), os.getegid()
    try:
        kernel.call("unshare", _OWN | (kernel.CLONE_NEWUSER if users else 0))
    except OSError as error:
        raise SandboxError(
            f"this user may not make namespaces here ({error.strerror}): a container must allow it, and Ubuntu from "
            "23.10 on needs an AppArmor profile"
        ) from error
    if users:
        Path("/proc/self/setgroups").write_text("deny", "ascii")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1", "ascii")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1", "ascii")


def go_on_as_first_process(zygote: int) -> None:
    """Fork: the child returns, as process 1 of its namespace. This process keeps it, and ends as it ends."""
    with die_with_parent(zygote):
        kernel.call("unshare", kernel.CLONE_NEWPID)
    keeper = os.getpid()
    child = os.fork()
    if child:
        _keep(child)
    _depend_on(keeper)


def _keep(child: int) -> NoReturn:
    os.closerange(0, 1 << 20)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status < 0:
        with contextlib.suppress(OSError, ValueError):
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    os._exit(status if status >= 0 else 128 - status)


def require_first_process() -> None:
    """Raise SandboxError where this process is not the first of its namespace."""
    if os.getpid() != 1:
        raise SandboxError("the process must be the first of its namespace")
