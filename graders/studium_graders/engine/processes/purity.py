"""What must hold for a process that is about to be forked: nothing secret in it, and nothing that a fork breaks."""

import os
import sys
from collections.abc import Collection, Iterator
from functools import cache
from importlib.metadata import entry_points

from studium_graders.engine.processes.interpreter import allowed_variables

_JUDGE = ("judge", "intake", "material.template", "supervision.calibration")


def impurities(descriptors: Collection[int], *, secrets: bool) -> Iterator[str]:
    """Return a sentence for each thing that is wrong. ``secrets`` allows tests and topics, as the judge needs them."""
    if (threads := len(os.listdir("/proc/self/task"))) != 1:  # noqa: PTH208
        yield f"it must have one thread: it has {threads}"
    if extra := sorted(set(os.environ) - allowed_variables()):
        yield f"its environment must hold nothing unknown: it has {', '.join(extra)}"
    if extra_files := [name for name in _open_files() if int(name) not in {0, 1, 2, *descriptors}]:
        yield f"it must have no open files but its own: it has {', '.join(map(_target, extra_files))}"
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        yield "CUDA must not be in use before the fork: it is"
    if not secrets and (loaded := _secret_modules()):
        yield f"it must know no tests and no solutions: it has imported {', '.join(loaded)}"


def _open_files() -> list[str]:
    names = os.listdir("/proc/self/fd")  # noqa: PTH208
    return [name for name in names if os.path.lexists(f"/proc/self/fd/{name}")]  # less the one that listed them


def _target(name: str) -> str:
    return os.readlink(f"/proc/self/fd/{name}")  # noqa: PTH115


def is_secret(module: str) -> bool:
    """Return whether a module knows tests or solutions: the judge's own, and the packages of topics."""
    return module in (secret := _secret_packages()) or module.startswith(tuple(f"{name}." for name in secret))


def _secret_modules() -> list[str]:
    return sorted(filter(is_secret, sys.modules))


@cache
def topic_packages() -> frozenset[str]:
    """Name the packages of installed topics, which hold solutions."""
    return frozenset(point.module for point in entry_points(group="studium")) - {"studium_graders.plugin"}


@cache
def _secret_packages() -> frozenset[str]:
    return topic_packages() | {f"studium_graders.engine.{name}" for name in _JUDGE}
