"""``enter``: what a freshly forked process does to itself before it runs a student's code."""

import os
import platform
import socket
import sys
from collections.abc import Iterable
from pathlib import Path

import msgspec

from studium_graders.engine.sandbox import landlock, seccomp
from studium_graders.engine.sandbox import system_calls as kernel
from studium_graders.engine.sandbox.control_groups import require_memory_limit
from studium_graders.engine.sandbox.levels import Level, Policy, SandboxError
from studium_graders.engine.sandbox.namespaces import (
    go_on_as_first_process,
    may_mount,
    numbers,
    require_first_process,
    unshare_all,
)
from studium_graders.engine.sandbox.privileges import become, die_with_parent, drop_bounding_set, seal, unused_user
from studium_graders.engine.sandbox.resource_limits import limit_resources, prefer_as_victim, tasks_of_user
from studium_graders.engine.sandbox.root_folder import SCRATCH, build_root_folder, enter_root_folder
from studium_graders.engine.sandbox.view import landlock_rules, landlock_rules_inside, shown

_FOLDERS = ("work", "home", "tmp")


def foresee(level: Level, policy: Policy, folder: str) -> Policy:
    """Do once, before any fork, what each would do alike; give the policy for ``enter``.

    Who may mount without being in a sandbox leaves the machine's mounts, and has the new root in ``folder``.
    """
    if level < Level.L2 or not (may_mount() or os.geteuid() != 0):  # else forks see files as another user does
        return policy
    shown(policy)
    seccomp.program(platform.machine(), shared_files=False, shared_memory=bool(policy.devices))
    if not may_mount():
        return policy
    drop_bounding_set()
    kernel.call("unshare", kernel.CLONE_NEWNS)
    build_root_folder(policy, folder)
    return msgspec.structs.replace(policy, root=folder)


def enter(level: Level, policy: Policy) -> None:
    """Put this process, freshly forked and with one thread, into the sandbox, for good.

    From L2 on, where ``fork`` has not made it the first of its namespace, it forks once more: what returns is the new
    child, and the caller's process waits for it and ends as it ends. Afterwards the working folder is an empty one,
    and all descriptors but ``policy.keep`` are closed. Raise SandboxError where anything goes wrong: the process must
    then end at once.
    """
    try:
        _enter(level, policy)
    except SandboxError:
        raise
    except (OSError, ValueError, OverflowError, KeyError, AttributeError) as error:
        raise SandboxError(f"level {level.label} could not be entered: {error}") from error


def _enter(level: Level, policy: Policy) -> None:
    if level == Level.SELF_CHECK:
        _settle(_new_folder(policy.scratch))
        return
    if len(os.listdir("/proc/self/task")) != 1:  # noqa: PTH208
        raise SandboxError("a sandbox is entered by a process with one thread, freshly forked")
    os.setsid()
    os.umask(0o022)
    _close_descriptors(policy.keep)
    prefer_as_victim()
    if level == Level.L0:
        _enter_with_limits_alone(policy)
        return
    if level == Level.L3:
        require_memory_limit()
    if level == Level.L1:
        _enter_in_place(policy)
    else:
        _enter_namespaces(policy)
    if kernel.seccomp_mode() != kernel.SECCOMP_FILTER or not kernel.no_new_privileges():
        raise SandboxError("the filter of system calls is not in place")


def _enter_namespaces(policy: Policy) -> None:
    """As root with a user that nobody has; else, or in a container that holds root back, as the same user mapped."""
    privileged, root = may_mount(), os.geteuid() == 0
    outside, *inside = numbers()
    user, group = (unused_user(outside),) * 2 if root else (os.geteuid(), os.getegid())
    if root and not privileged:
        os.chown(policy.scratch, user, group)
        become(user)
        seal()
    unshare_all(users=not privileged)
    if inside[-1:] != [1]:
        go_on_as_first_process(os.getppid())
    with die_with_parent():
        limit_resources(policy.limits, devices=bool(policy.devices))
        if not policy.root:  # else ``foresee`` has done it
            drop_bounding_set()
        enter_root_folder(policy, user, group)
        socket.sethostname("student")
        if privileged:
            become(user)
        else:
            kernel.keep_capabilities()
        seal()
    _settle(SCRATCH)
    if landlock.abi():
        landlock.restrict(landlock_rules_inside(policy, SCRATCH))
    seccomp.install(shared_files=False, shared_memory=bool(policy.devices))
    require_first_process()


def _enter_in_place(policy: Policy) -> None:
    """Without namespaces: Landlock takes the files away, seccomp the system calls."""
    root = os.geteuid() == 0
    scratch = _new_folder(policy.scratch)
    with die_with_parent():
        others = 0 if root else tasks_of_user(os.geteuid())
        limit_resources(policy.limits, devices=bool(policy.devices), others=others)
        if root:
            user = unused_user(os.getpid())
            os.chown(scratch, user, user)
            drop_bounding_set()
            become(user, _needed_to_reach((*policy.readable, scratch)))
        seal()
    _settle(scratch)
    landlock.restrict(landlock_rules(policy, scratch))
    scoped = landlock.abi() >= landlock.SIGNALS_SINCE
    seccomp.install(shared_files=True, shared_memory=bool(policy.devices), only_pid=0 if scoped else os.getpid())


def _enter_with_limits_alone(policy: Policy) -> None:
    scratch = _new_folder(policy.scratch)
    with die_with_parent():
        limit_resources(policy.limits, devices=bool(policy.devices), others=tasks_of_user(os.geteuid()))
        seal()
    _settle(scratch)


def _new_folder(scratch: str) -> str:
    """Return a folder that no earlier attempt has written to."""
    own = f"{scratch}/{os.getpid()}"
    os.mkdir(own, 0o700)  # noqa: PTH102  pathlib is slow here
    return own


def _needed_to_reach(paths: Iterable[str]) -> int:
    """The capability to pass closed folders, where Python itself is in one, such as /root. Landlock still holds."""
    folders = {folder for path in paths for folder in Path(os.path.realpath(path)).parents}
    if all(folder.stat().st_mode & 0o001 for folder in folders if folder.exists()):
        return 0
    held = kernel.capabilities()
    wanted = (1 << kernel.CAP_DAC_READ_SEARCH, 1 << kernel.CAP_DAC_OVERRIDE)
    return next((bit for bit in wanted if held & bit), 0)


def _close_descriptors(kept: Iterable[int]) -> None:
    """Nothing that the zygote had open stays, and no terminal."""
    keep = sorted(set(kept))
    null = os.open(os.devnull, os.O_RDWR)
    for standard in {0, 1, 2} - set(keep):
        if standard != null:
            os.dup2(null, standard)
    start = 3
    for descriptor in (*(number for number in keep if number > 2), 1 << 20):
        os.closerange(start, descriptor)
        start = descriptor + 1


def _settle(scratch: str) -> None:
    """Make the folders of the scratch, and go to work."""
    for name in _FOLDERS:
        if not (scratch == SCRATCH and name == "tmp"):  # made with the mount
            os.mkdir(f"{scratch}/{name}", 0o700)  # noqa: PTH102  pathlib is slow here
    os.umask(0o077)
    work, home, temporary = (f"{scratch}/{name}" for name in _FOLDERS)
    os.chdir(work)
    os.environ.update(HOME=home, TMPDIR=temporary, PWD=work, LOGNAME="student")
    os.environ.pop("TORCHINDUCTOR_CACHE_DIR", None)  # torch writes the zygote's there when its compiler is imported
    if "tempfile" in sys.modules:
        vars(sys.modules["tempfile"])["tempdir"] = None  # it remembers where the zygote's was
