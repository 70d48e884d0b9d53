"""The Linux system calls that the standard library does not offer, through ctypes. Each raises OSError.

They need nothing from the network and no compiler; packages for Landlock and seccomp exist, but are young or bind a
library that is not everywhere.
"""

import ctypes
import os
import platform
import sys
from typing import Any

CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_REMOUNT = 32
MS_BIND = 4096
MS_REC = 16384
MS_PRIVATE = 1 << 18
MNT_DETACH = 2

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_KEEPCAPS = 8
PR_CAPBSET_DROP = 24
PR_SET_NO_NEW_PRIVS = 38
_PR_GET_SECCOMP, _PR_GET_NO_NEW_PRIVS = 21, 39

CAP_DAC_OVERRIDE = 1
CAP_DAC_READ_SEARCH = 2
CAP_SYS_ADMIN = 21
SECCOMP_FILTER = 2

_CAPABILITIES = 0x20080522  # version 3: two words of 32 bits

_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_MOUNT_SETATTR = 442  # the same number on all architectures, as all since 2019
_AT_RECURSIVE = 0x8000

LINUX = sys.platform.startswith("linux")
PAGE = os.sysconf("SC_PAGE_SIZE") if LINUX else 4096

_libc: Any = ctypes.CDLL(None, use_errno=True) if LINUX else None  # elsewhere there is the self-check alone


def call(name: str, *arguments: int | bytes | None) -> int:
    """Call the C library's function ``name``."""
    return _checked(getattr(_libc, name)(*map(_word, arguments)), name)


def system_call(number: int, *arguments: int | bytes | ctypes.Structure | ctypes.Array | None) -> int:  # type: ignore[type-arg]
    """Call a system call that the C library may not know."""
    words = [
        ctypes.byref(item) if isinstance(item, ctypes.Structure | ctypes.Array) else _word(item) for item in arguments
    ]
    return _checked(_libc.syscall(ctypes.c_long(number), *words), f"system call {number}")


def _word(item: int | bytes | None) -> ctypes.c_long | ctypes.c_char_p:
    return ctypes.c_long(item) if isinstance(item, int) else ctypes.c_char_p(item)


def _checked(result: int, what: str) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), what)
    return result


def mount(source: str, target: str, kind: str = "", flags: int = 0, options: str = "") -> None:
    """Mount ``source`` on ``target``; an OSError names the target."""
    try:
        call("mount", os.fsencode(source), os.fsencode(target), kind.encode() or None, flags, options.encode() or None)
    except OSError as error:
        raise OSError(error.errno, error.strerror, f"mount {kind or source} on {target}") from None


def restrict_mounts(target: str, attributes: int) -> None:
    """Set attributes (MS_RDONLY, MS_NOSUID, MS_NODEV) on the mount ``target`` and on all below it."""
    system_call(
        _MOUNT_SETATTR, -100, os.fsencode(target), _AT_RECURSIVE, (ctypes.c_uint64 * 4)(attributes, 0, 0, 0), 32
    )


def pivot_root(new: str, old: str) -> None:
    """Make ``new`` the root folder, and show the former one at ``old``."""
    system_call(_PIVOT_ROOT[platform.machine()], os.fsencode(new), os.fsencode(old))


def prctl(option: int, value: int = 0) -> None:
    """Set a property of this process."""
    call("prctl", option, value, 0, 0, 0)


def capabilities() -> int:
    """Return the effective capabilities of this process as bits."""
    with open("/proc/self/status", encoding="ascii") as status:  # noqa: PTH123  pathlib is slow here
        return next(int(line.split()[1], 16) for line in status if line.startswith("CapEff:"))


def keep_capabilities(kept: int = 0) -> None:
    """Drop all capabilities but the bits ``kept``."""
    header = (ctypes.c_uint32 * 2)(_CAPABILITIES, 0)
    low, high = kept & 0xFFFFFFFF, kept >> 32
    _checked(
        _libc.capset(ctypes.byref(header), ctypes.byref((ctypes.c_uint32 * 6)(low, low, 0, high, high, 0))), "capset"
    )


def seccomp_mode() -> int:
    """Return SECCOMP_FILTER where a filter holds this process, 0 where none does."""
    return call("prctl", _PR_GET_SECCOMP, 0, 0, 0, 0)


def no_new_privileges() -> bool:
    """Return whether programs that are started gain nothing by setuid."""
    return call("prctl", _PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1
