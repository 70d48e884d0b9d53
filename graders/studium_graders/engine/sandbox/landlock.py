"""Landlock: a process gives up all files but those that are listed, and TCP and signals where the kernel knows how.

https://docs.kernel.org/userspace-api/landlock.html
"""

import ctypes
import os
import stat
from collections.abc import Iterable

from studium_graders.engine.sandbox.levels import SandboxError
from studium_graders.engine.sandbox.system_calls import system_call

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION = 1  # flag: give the ABI instead of a ruleset
_PATH_BENEATH = 1

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1, 2, 4, 8
TRUNCATE, IOCTL_DEV = 1 << 14, 1 << 15
READ = EXECUTE | READ_FILE | READ_DIR
_ALL_BY_ABI = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1}
ALL = (1 << 16) - 1
DEVICE = READ_FILE | WRITE_FILE | IOCTL_DEV
_FILE_ONLY = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV

SIGNALS_SINCE = 6  # the ABI that keeps signals inside

Rule = tuple[str, int]


class _Rule(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def abi() -> int:
    """Return the version of Landlock in this kernel, 0 where there is none."""
    try:
        return system_call(_CREATE_RULESET, None, 0, _VERSION)
    except OSError:
        return 0


def restrict(rules: Iterable[Rule]) -> None:
    """Allow what ``rules`` list, (path, rights beneath it), and nothing else, for good. Absent paths are passed over.

    Raise SandboxError where the kernel has no Landlock. Needs "no new privileges".
    """
    version = abi()
    if not version:
        raise SandboxError("this kernel must have Landlock (Linux 5.13 or newer): it has not, or it is turned off")
    files = _ALL_BY_ABI.get(version, ALL)
    network, scopes = (3 if version >= 4 else 0), (3 if version >= 6 else 0)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    ruleset = system_call(_CREATE_RULESET, (ctypes.c_uint64 * 3)(files, network, scopes), size, 0)
    try:
        for path, rights in rules:
            _allow(ruleset, path, rights & files)
        system_call(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return  # what this process cannot reach needs no leave
    try:
        if not stat.S_ISDIR(os.fstat(parent).st_mode):
            rights &= _FILE_ONLY
        system_call(_ADD_RULE, ruleset, _PATH_BENEATH, _Rule(rights, parent), 0)
    finally:
        os.close(parent)
