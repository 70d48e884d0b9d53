"""A root folder of its own for a student's process: what it may read, a scratch in memory, and nothing else."""

import os
from collections.abc import Iterable
from pathlib import Path

from studium_graders.engine.sandbox import system_calls as kernel
from studium_graders.engine.sandbox.levels import Policy
from studium_graders.engine.sandbox.view import DEVICES, shown

SCRATCH = "/scratch"
_LINKS = ("/bin", "/sbin", "/lib", "/lib64", "/lib32", "/libx32")  # into /usr on most systems
_DEVICE_LINKS = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
}
_ACCOUNTS = {  # the machine's own are nobody's business; passwd and group are each student's
    "passwd": "",
    "group": "",
    "hosts": "127.0.0.1 localhost\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
}
_VOID_FOLDER, _VOID_FILE = "/.void/folder", "/.void/file"
_READ_ONLY = kernel.MS_RDONLY | kernel.MS_NOSUID | kernel.MS_NODEV
_BIND = kernel.MS_BIND | kernel.MS_REC
_FILES_IN_SCRATCH = 20_000


def build_root_folder(policy: Policy, root: str) -> None:
    """Mount on the folder ``root`` what all that ``policy`` is for may see. Nobody can write there any more.

    Needs a mount namespace of its own, and the capability to mount.
    """
    kernel.mount("none", "/", flags=kernel.MS_REC | kernel.MS_PRIVATE)
    kernel.mount("tmpfs", root, "tmpfs", kernel.MS_NOSUID, "mode=755,size=16m,nr_inodes=10k")
    devices = (*DEVICES, *policy.devices)
    _make_places(root, (SCRATCH, "/tmp", "/proc", "/dev/shm", "/etc", _VOID_FOLDER), devices)  # noqa: S108  in the root
    _show(root, policy)
    kernel.restrict_mounts(root, _READ_ONLY)
    _show_devices(root, devices, zero="/dev/zero" if policy.devices else "/dev/full")
    kernel.mount("none", root, flags=kernel.MS_REMOUNT | _READ_ONLY)  # the file system, not this mount of it alone


def enter_root_folder(policy: Policy, user: int, group: int) -> None:
    """Move into the new root, which is built on ``policy.scratch`` where there is none, and lose the old one.

    Needs mount, process and network namespaces of its own, and the capability to mount. ``user`` owns the scratch.
    """
    root = policy.root
    if not root:
        root = policy.scratch
        build_root_folder(policy, root)
    _mount_scratch(root, policy, user, group)
    _show_account(root, user, group)
    _mount_processes(root)
    os.chdir(root)
    kernel.pivot_root(".", ".")
    kernel.call("umount2", b".", kernel.MNT_DETACH)
    os.chdir("/")


def _make_places(root: str, folders: Iterable[str], devices: Iterable[str]) -> None:
    for folder in folders:
        Path(root + folder).mkdir(0o755, parents=True, exist_ok=True)
    Path(root + _VOID_FILE).touch(0o444)
    for name, target in _DEVICE_LINKS.items():
        Path(f"{root}/dev/{name}").symlink_to(target)
    for link in _LINKS:
        if os.path.islink(link):  # noqa: PTH114  pathlib is slow here
            Path(root + link).symlink_to(os.readlink(link).lstrip("/"))  # noqa: PTH115
    for device in devices:
        _make_mount_point(root + device, os.path.isdir(device))  # noqa: PTH112  such as /dev/nvidia-caps
    for name, text in _ACCOUNTS.items():
        Path(f"{root}/etc/{name}").write_text(text, "ascii")


def _show_account(root: str, user: int, group: int) -> None:
    """Show an account of its own, made in the scratch and gone from there."""
    accounts = {"passwd": f"student:x:{user}:{group}::{SCRATCH}/home:/bin/sh\n", "group": f"student:x:{group}:\n"}
    for name, text in accounts.items():
        made, place = f"{root}{SCRATCH}/{name}", f"{root}/etc/{name}"
        with open(made, "w", encoding="ascii") as file:  # noqa: PTH123  pathlib is slow here
            file.write(text)
        kernel.mount(made, place, flags=kernel.MS_BIND)
        kernel.restrict_mounts(place, _READ_ONLY)
        os.unlink(made)  # noqa: PTH108


def _show(root: str, policy: Policy) -> None:
    for source, path in shown(policy):
        target = root + path
        source = source or root + (_VOID_FOLDER if os.path.isdir(path) else _VOID_FILE)  # noqa: PTH112
        if not os.path.lexists(target):
            _make_mount_point(target, os.path.isdir(source))  # noqa: PTH112
        kernel.mount(source, target, flags=_BIND)


def _make_mount_point(target: str, folder: bool) -> None:
    place = Path(target)
    if folder:
        place.mkdir(0o755, parents=True)
    else:
        place.parent.mkdir(0o755, parents=True, exist_ok=True)
        place.touch(0o644)


def _show_devices(root: str, devices: Iterable[str], zero: str) -> None:
    """Show devices; /dev/full gives zeros like /dev/zero, and not memory that is shared and nobody's."""
    for device in devices:
        kernel.mount(zero if device == "/dev/zero" else device, root + device, flags=kernel.MS_BIND)


def _mount_scratch(root: str, policy: Policy, user: int, group: int) -> None:
    """One file system in memory for the working folder, the home folder, /tmp and /dev/shm, with one limit for all."""
    options = f"mode=700,size={policy.limits.disk_mb}m,nr_inodes={_FILES_IN_SCRATCH},uid={user},gid={group}"
    kernel.mount("tmpfs", root + SCRATCH, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, options)
    for name, place in (("tmp", "/tmp"), ("shm", "/dev/shm")):  # noqa: S108  in the new root
        folder = root + SCRATCH + "/" + name
        os.mkdir(folder, 0o700)  # noqa: PTH102
        os.chown(folder, user, group)
        if not any(path.startswith(f"{place}/") for path in policy.readable):  # a Python that is installed in /tmp
            kernel.mount(folder, root + place, flags=kernel.MS_BIND)


def _mount_processes(root: str) -> None:
    """The process table of its own namespace. Containers may forbid it; then there is none."""
    flags = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC | kernel.MS_RDONLY
    try:
        kernel.mount("proc", f"{root}/proc", "proc", flags)
    except PermissionError:
        return
