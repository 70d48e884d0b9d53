"""A seccomp filter that refuses the system calls by which a process reaches out of its sandbox.

It is a list of what is refused: a list of what is allowed would break with each new version of PyTorch or the C
library. What the filter does not know because it is too new is answered "not implemented".
"""

import ctypes
import errno
import platform
import struct
from collections.abc import Iterator
from functools import cache

from studium_graders.engine.sandbox.system_call_numbers import LAST, NUMBERS
from studium_graders.engine.sandbox.system_calls import system_call

_ARCHITECTURES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}  # AUDIT_ARCH_…, column in NUMBERS
_SECCOMP = {"x86_64": 317, "aarch64": 277}

_LOAD, _AND, _RETURN = 0x20, 0x54, 0x06
_EQUAL, _GREATER, _ANY_BIT = 0x15, 0x25, 0x45
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000

_NAMESPACES = 0x7E020000  # CLONE_NEW… of clone
_CLONE_PARENT = 0x8000
_SHARED_ANONYMOUS = 0x21  # MAP_SHARED, MAP_ANONYMOUS
_PAGE = 4096
_ADVICE_ON_MAPPED = (3, 20, 21)  # the same of mapped files: MADV_WILLNEED, MADV_COLD, MADV_PAGEOUT

_REFUSED = """
acct add_key adjtimex bpf chroot clock_adjtime clock_settime delete_module fanotify_init finit_module fsconfig fsmount
fsopen fspick init_module ioperm iopl ioprio_set kcmp kexec_file_load kexec_load keyctl migrate_pages mincore modify_ldt
mount mount_setattr move_mount move_pages mq_open msgget name_to_handle_at open_by_handle_at open_tree perf_event_open
pidfd_getfd pivot_root process_madvise process_vm_readv process_vm_writev ptrace quotactl quotactl_fd reboot request_key
semget setdomainname sethostname setns setrlimit settimeofday shmget socket swapoff swapon syslog umount2 unshare uselib
userfaultfd vhangup vmsplice
"""
_NOT_IMPLEMENTED = """
cachestat clone3 inotify_init inotify_init1 io_setup io_uring_enter io_uring_register io_uring_setup memfd_create
memfd_secret openat2
"""
_FLUSHING = "fdatasync fsync sync syncfs"  # it would be every disk's
_ADVICE = "fadvise64 readahead"  # about the memory for files, which all processes share
_MODES = """
chmod fchmod fchmodat fchmodat2 chown fchown lchown fchownat utime utimes futimesat utimensat setxattr lsetxattr
fsetxattr removexattr lremovexattr fremovexattr
"""

Instruction = tuple[int, int, int, int]


def _return(value: int) -> Instruction:
    return (_RETURN, 0, 0, value)


def _load_argument(index: int) -> Instruction:
    return (_LOAD, 0, 0, 16 + 8 * index)  # the low word of a little-endian argument


def _load_high_word(index: int) -> Instruction:
    return (_LOAD, 0, 0, 20 + 8 * index)


def _when(name: str, column: int, test: list[Instruction], answer: int) -> Iterator[Instruction]:
    """If the call is ``name``: run ``test``, whose last instruction jumps over one instruction to be let through."""
    number = NUMBERS[name][column]
    if number is not None:
        body = [*test, _return(_ERRNO | answer), _return(_ALLOW)] if test else [_return(_ERRNO | answer)]
        yield (_EQUAL, 0, len(body), number)
        yield from body


def _any_bit(argument: int, bits: int) -> list[Instruction]:
    return [_load_argument(argument), (_ANY_BIT, 0, 1, bits)]


def _not_in(argument: int, *values: int) -> list[Instruction]:
    last = len(values) - 1
    return [
        _load_argument(argument),
        *((_EQUAL, 1 + last - place, 0, value & 0xFFFFFFFF) for place, value in enumerate(values)),
    ]


def _is_in(argument: int, *values: int) -> list[Instruction]:
    last = len(values) - 1
    tests = [(_EQUAL, last - place, 1 if place == last else 0, value) for place, value in enumerate(values)]
    return [_load_argument(argument), *tests]


def _own_priority() -> list[Instruction]:
    """PRIO_PROCESS of 0, which is oneself."""
    return [_load_argument(0), (_EQUAL, 0, 2, 0), _load_argument(1), (_EQUAL, 1, 0, 0)]


def _looks_at_own_limits() -> list[Instruction]:
    """A limit of oneself (0), and no new one (NULL)."""
    return [
        _load_argument(0),
        (_EQUAL, 0, 4, 0),
        _load_argument(2),
        (_EQUAL, 0, 2, 0),
        _load_high_word(2),
        (_EQUAL, 1, 0, 0),
    ]


def _truncates_what_is_read(flags: int) -> list[Instruction]:
    """O_TRUNC with O_RDONLY, which Landlock before ABI 3 takes for reading."""
    return [_load_argument(flags), (_AND, 0, 0, 0o1003), (_EQUAL, 0, 1, 0o1000)]


def _conditional(column: int) -> Iterator[Instruction]:
    no = errno.EPERM
    yield from _when("clone", column, _any_bit(0, _NAMESPACES | _CLONE_PARENT), no)
    yield from _when("prctl", column, _is_in(0, 1), no)  # the signal that comes when the keeper dies
    yield from _when("socketpair", column, _not_in(0, 1), no)  # AF_UNIX
    yield from _when("ioctl", column, _is_in(1, 0x5412, 0x541C), no)  # type into a terminal
    yield from _when("personality", column, _not_in(0, 0, 0xFFFFFFFF), no)
    yield from _when("setpriority", column, _own_priority(), no)
    yield from _when("prlimit64", column, _looks_at_own_limits(), no)
    yield from _when("madvise", column, _is_in(2, *_ADVICE_ON_MAPPED), 0)
    for name in ("preadv2", "pwritev2"):
        yield from _when(name, column, _not_in(5, 0), errno.EOPNOTSUPP)  # as where a file system knows no flags
    for name in ("sched_setaffinity", "sched_setattr", "sched_setparam", "sched_setscheduler"):
        yield from _when(name, column, _not_in(0, 0), no)


def _hides_memory() -> list[Instruction]:
    """Shared memory of more than a page that no file is behind: it stays, and is nobody's, once it is not mapped."""
    return [
        _load_argument(3),
        (_AND, 0, 0, _SHARED_ANONYMOUS),
        (_EQUAL, 0, 5, _SHARED_ANONYMOUS),
        _load_high_word(1),
        (_EQUAL, 0, 2, 0),
        _load_argument(1),
        (_GREATER, 0, 1, _PAGE),
    ]


def _same_files(column: int) -> Iterator[Instruction]:
    """What a process without a file system of its own could do to other files of its user."""
    for name in _MODES.split():
        yield from _when(name, column, [], 0)  # "done", though it is not: honest copies of files ask for it
    yield from _when("truncate", column, [], errno.EPERM)
    yield from _when("open", column, _truncates_what_is_read(1), errno.EPERM)
    yield from _when("openat", column, _truncates_what_is_read(2), errno.EPERM)


def _signals(column: int, pid: int) -> Iterator[Instruction]:
    """Signals to other processes, where neither Landlock nor a namespace keeps them in."""
    for name in ("kill", "tgkill", "tkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo"):
        yield from _when(name, column, _not_in(0, pid, 0), errno.EPERM)
    yield from _when("pidfd_send_signal", column, [], errno.EPERM)


@cache
def _refusals(machine: str, shared_files: bool, shared_memory: bool) -> tuple[Instruction, ...]:
    column = _ARCHITECTURES[machine][1]
    return (
        *(_same_files(column) if shared_files else ()),
        *(() if shared_memory else _when("mmap", column, _hides_memory(), errno.EPERM)),
        *_conditional(column),
        *(part for name in (*_FLUSHING.split(), *_ADVICE.split()) for part in _when(name, column, [], 0)),  # not done
        *(part for name in _REFUSED.split() for part in _when(name, column, [], errno.EPERM)),
        *(part for name in _NOT_IMPLEMENTED.split() for part in _when(name, column, [], errno.ENOSYS)),
    )


@cache
def program(machine: str, *, shared_files: bool, shared_memory: bool, only_pid: int = 0) -> bytes:
    """Return the filter for an architecture ("x86_64", "aarch64") as the kernel wants it.

    ``shared_files``: the process sees files of its own user outside its scratch. ``shared_memory``: it may share memory
    that no file is behind, as a GPU's driver does. ``only_pid``: the one process that it may send signals to (0: any
    that it sees). Raise KeyError for another architecture.
    """
    architecture, column = _ARCHITECTURES[machine]
    instructions = (
        (_LOAD, 0, 0, 4),
        (_EQUAL, 1, 0, architecture),
        _return(_KILL),
        (_LOAD, 0, 0, 0),
        (_GREATER, 0, 1, LAST),
        _return(_ERRNO | errno.ENOSYS),
        *(_signals(column, only_pid) if only_pid else ()),
        *_refusals(machine, shared_files, shared_memory),
        _return(_ALLOW),
    )
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in instructions)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def install(*, shared_files: bool, shared_memory: bool, only_pid: int = 0) -> None:
    """Put the filter on this process, for good; OSError where the kernel has none, KeyError on other machines."""
    more = {"only_pid": only_pid} if only_pid else {}  # as ``foresee`` asks for it
    code = program(platform.machine(), shared_files=shared_files, shared_memory=shared_memory, **more)
    system_call(_SECCOMP[platform.machine()], 1, 0, _Program(len(code) // 8, code))
