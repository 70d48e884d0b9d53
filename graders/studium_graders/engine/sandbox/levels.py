"""What a sandbox is made of as data: its levels, what a student's process may see, and what a machine can do."""

import enum
import functools
from typing import Any

import msgspec

from studium_graders.course.limits import Limits


@functools.total_ordering
class Level(enum.Enum):
    """How strongly a student's process is held, from weak to strong."""

    SELF_CHECK = "self-check"
    L0 = "L0"
    L1 = "L1"
    L2 = "L2"
    L3 = "L3"

    @property
    def label(self) -> str:
        """The name that results carry: "self-check", "L0" … "L3"."""
        return self.value

    def __lt__(self, other: Any) -> bool:
        order = list(Level)
        return order.index(self) < order.index(other) if isinstance(other, Level) else NotImplemented


class Policy(msgspec.Struct, frozen=True):
    """What a student's process may see and use.

    ``readable`` are files and folders that it may read, ``hidden`` are those inside them that it may not, and
    ``replaced`` pairs a file or folder with the one that is shown in its place (L2; below, it is hidden).
    ``scratch`` is a folder that exists. The working folder is a new one inside it; from L2 on, one in memory. Both are
    empty, so write the student's files after ``enter``. ``keep`` are the file descriptors that stay open.
    ``devices`` are device files that the student may use, such as a GPU's. ``root`` is where ``foresee`` has mounted
    what all may see, "" where each does that itself.
    """

    readable: tuple[str, ...]
    hidden: tuple[str, ...]
    scratch: str
    limits: Limits = Limits()
    replaced: tuple[tuple[str, str], ...] = ()
    keep: tuple[int, ...] = ()
    devices: tuple[str, ...] = ()
    root: str = ""


class Probe(msgspec.Struct, frozen=True):
    """What this machine can do: the highest level that was seen to work, and why the others do not.

    ``abi`` is Landlock's version (0: none).
    """

    level: Level
    reasons: dict[Level, str] = {}
    abi: int = 0


class SandboxError(Exception):
    """The sandbox could not be set up. The process must end without running any student code."""
