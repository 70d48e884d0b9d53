"""What a process may reach that is in no sandbox because it must see secrets: the judge's."""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from studium_graders.engine.sandbox import landlock
from studium_graders.engine.sandbox.landlock import ALL, DEVICE, EXECUTE, READ, Rule
from studium_graders.engine.sandbox.privileges import seal
from studium_graders.engine.sandbox.readable import readable_roots
from studium_graders.engine.sandbox.view import DEVICES, allowed, machine

_GPU = ("/sys", "/proc/driver", "/dev/shm")  # noqa: S108  how CUDA finds its devices


def rules_of_tests(own: Iterable[str], hidden: Iterable[str], *, programs: bool) -> tuple[Rule, ...]:
    """Return what tests may read: Python, what is imported and ``own``, but nothing that is ``hidden``.

    They start programs with ``programs`` alone.
    """
    gpu = [str(path) for path in Path("/dev").glob("nvidia*")]
    rules = [
        *allowed(readable_roots(_imported()), frozenset(map(_real, hidden))),
        *((path, READ) for path in (*own, *machine(), *(_GPU if gpu else ()))),
    ]
    return (
        *((path, rights if programs else rights & ~EXECUTE) for path, rights in rules),
        *((device, DEVICE) for device in (*DEVICES, *gpu)),
    )


def confine(folder: str, rules: Iterable[Rule], *, programs: bool) -> bool:
    """Let this process, and all that it starts, have the files of ``rules`` and change those in ``folder``, for good.

    It neither opens TCP connections nor signals others any more, as far as the kernel's Landlock goes; without Landlock
    nothing changes. Tell whether there is Landlock.
    """
    if not landlock.abi():
        return False
    seal()
    changing = ALL if programs else ALL & ~EXECUTE
    landlock.restrict([*rules, ("/proc/self", READ & ~EXECUTE), (folder, changing)])
    return True


def _imported() -> Iterator[str]:
    """Return the places of imported packages and modules, wherever an editable installation has them."""
    for name, module in list(sys.modules.items()):
        if "." not in name:
            yield from map(str, getattr(module, "__path__", None) or filter(None, [getattr(module, "__file__", None)]))


def _real(path: str) -> str:
    return str(Path(path).resolve())
