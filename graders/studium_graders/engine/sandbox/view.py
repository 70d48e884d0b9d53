"""Which files a student's process sees, worked out once from a policy: as Landlock rules, and as a list of mounts."""

import os
from collections.abc import Iterator
from functools import cache

from studium_graders.engine.sandbox.landlock import ALL, DEVICE, READ, READ_DIR, Rule
from studium_graders.engine.sandbox.levels import Policy

DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
MACHINE = ("/sys/devices/system/cpu", "/sys/devices/system/node")  # how many processors there are
_PROCESS_TABLE = tuple(
    f"/proc/{name}"
    for name in ("cpuinfo", "filesystems", "loadavg", "meminfo", "stat", "uptime", "version", "sys/vm", "sys/kernel")
)


def landlock_rules(policy: Policy, scratch: str) -> Iterator[Rule]:
    """Return the files that a process may have which still sees the machine's own root folder."""
    yield from ((path, READ) for path in machine())
    yield from ((path, DEVICE) for path in (*DEVICES, *policy.devices))
    yield from allowed(policy.readable, _secret(policy))
    yield "/proc/self", READ
    yield scratch, ALL


def landlock_rules_inside(policy: Policy, scratch: str) -> Iterator[Rule]:
    """Return the same for a process that has a root folder of its own, in which nothing is hidden any more."""
    yield "/", READ
    yield from ((path, DEVICE) for path in (*DEVICES, *policy.devices))
    yield from ((path, ALL) for path in (scratch, "/tmp", "/dev/shm"))  # noqa: S108  in the new root


def _secret(policy: Policy) -> frozenset[str]:
    return frozenset(map(os.path.realpath, (*policy.hidden, *(path for path, _ in policy.replaced))))


def machine() -> tuple[str, ...]:
    """Return what libraries ask of the machine."""
    return (*MACHINE, *_PROCESS_TABLE)


@cache
def allowed(readable: tuple[str, ...], secret: frozenset[str]) -> tuple[Rule, ...]:
    """Landlock knows no exceptions: a folder that holds a secret is allowed child by child, and may be listed."""
    roots = dict.fromkeys(map(os.path.realpath, readable))
    return tuple(rule for root in roots for rule in _beneath(root, secret))


def _beneath(path: str, secret: frozenset[str]) -> Iterator[Rule]:
    if path in secret:
        return
    if not any(item.startswith(f"{path}/") for item in secret):
        yield path, READ
        return
    yield path, READ_DIR
    with os.scandir(path) as entries:
        for entry in entries:
            if not entry.is_symlink():
                yield from _beneath(entry.path, secret)


def shown(policy: Policy) -> tuple[tuple[str, str], ...]:
    """Return the mounts of a policy."""
    return mounts((*policy.readable, *MACHINE), policy.hidden, policy.replaced)


@cache
def mounts(
    readable: tuple[str, ...], hidden: tuple[str, ...], replaced: tuple[tuple[str, str], ...]
) -> tuple[tuple[str, str], ...]:
    """Return (what to show, where), outer folders first; "" in place of what is hidden. What is absent is left out."""
    shown = {}
    for path in readable:
        shown[path] = shown[os.path.realpath(path)] = os.path.realpath(path)
    for path in hidden:
        shown[os.path.realpath(path)] = ""
    for path, substitute in replaced:
        shown[os.path.realpath(path)] = os.path.realpath(substitute)
    order = sorted(shown, key=lambda path: path.count("/"))
    kept: dict[str, str] = {}
    for path in order:
        source = shown[path]
        outer = _outermost(path, kept)
        if os.path.exists(source or path) and _changes(path, source, outer, kept):  # noqa: PTH110
            kept[path] = source
    return tuple((source, path) for path, source in kept.items())


def _outermost(path: str, kept: dict[str, str]) -> str:
    """The nearest folder above ``path`` that is mounted already, or ""."""
    while path := path.rpartition("/")[0]:
        if path in kept:
            return path
    return ""


def _changes(path: str, source: str, outer: str, kept: dict[str, str]) -> bool:
    """Return whether mounting makes a difference to what the mount above it shows."""
    if not outer or not kept[outer]:
        return bool(source)  # nothing is shown there: a secret needs no cover
    return source != kept[outer] + path.removeprefix(outer)
