"""What the supervisor tells a student's process, and what it may answer. Nothing here is secret."""

import msgspec

from studium_graders.course.limits import Limits
from studium_graders.engine.sandbox import Level


class StudentSetup(msgspec.Struct, frozen=True):
    """What the student zygote is told once. ``files`` are what every student got; nothing here is secret.

    ``imports`` are modules that every student will import. ``root`` is an empty folder for what all students see.
    ``packages`` are those of whose classes the judge has instances, too.
    """

    level: Level
    limits: Limits
    hidden: tuple[str, ...] = ()
    replaced: tuple[tuple[str, str], ...] = ()
    files: dict[str, bytes] = {}
    gpu: bool = False
    imports: tuple[str, ...] = ()
    root: str = ""
    packages: tuple[str, ...] = ()


class StudentJob(msgspec.Struct, frozen=True):
    """What one student process is told: its scratch folder, and the files that were handed in."""

    scratch: str
    files: dict[str, bytes] = {}


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """The sandbox could not be entered; no code of the student's was run."""

    reason: str
