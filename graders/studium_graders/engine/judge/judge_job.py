"""What the supervisor tells a judge process to do, and what it is told beside the judge's events."""

import msgspec

from studium_graders.engine.judge.events import Finished, Judged, Ran, Started
from studium_graders.engine.material.assignment import Calibration, CanonicalNotebook, Material, Permission
from studium_graders.engine.material.results import Verdict


class JudgeSetup(msgspec.Struct, frozen=True):
    """What every judge process starts with.

    ``folder`` is where it is made ready, with the material's files. ``hidden`` are files and folders that no test sees.
    ``imports`` are modules that every notebook imports, ``packages`` those of whose classes both sides have instances.
    """

    material: Material
    folder: str
    hidden: tuple[str, ...] = ()
    imports: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()


class JudgeJob(msgspec.Struct, frozen=True):
    """What one judge process is told: a submitted notebook, and which of its cells had their turn before.

    ``late`` are the tests among these that were stopped for their time. ``seed`` is secret. ``folder`` is for this
    notebook alone: the working folder is a new one inside it. ``recording`` notes what the reference solution needs.
    ``as_released``: of tests what students got, no hidden one. ``beside``: hidden tests may run beside the answer, too.
    ``apart``: judge the tests of topics, which run apart from the answer, and no others.
    """

    notebook: CanonicalNotebook
    seed: bytes
    folder: str
    calibration: Calibration = Calibration()
    skip: frozenset[str] = frozenset()
    late: frozenset[str] = frozenset()
    recording: bool = False
    as_released: bool = False
    beside: bool = False
    apart: bool = False


class Gone(msgspec.Struct, frozen=True, tag="gone"):
    """The student's process ended, took too long, or sent what is no message."""

    verdict: Verdict
    sentence: str


class Recorded(msgspec.Struct, frozen=True, tag="recorded"):
    """What the reference solution needed, and by grade id what tests need of earlier ones.

    ``one_process`` has reasons of tests that are not to run split, ``controlled`` those whose negative control failed,
    ``suites`` how many tests of unittest ran to success. Of tests of topics, ``words`` are what they may receive, and
    ``reasons`` why they cannot run apart.
    """

    permissions: frozenset[Permission] = frozenset()
    plain: frozenset[str] = frozenset()
    one_process: dict[str, str] = {}
    controlled: frozenset[str] = frozenset()
    scored: frozenset[str] = frozenset()
    suites: dict[str, int] = {}
    earlier: dict[str, frozenset[str]] = {}
    words: dict[str, frozenset[str]] = {}
    reasons: dict[str, str] = {}


class Fault(msgspec.Struct, frozen=True, tag="fault"):
    """The judge itself failed, which is no student's doing."""

    trace: str


class AtMost(msgspec.Struct, frozen=True, tag="at most"):
    """The student's process may allocate at most so many MB more, None: as much as before. The judge waits for True."""

    megabytes: float | None


Message = Started | Ran | Judged | Finished | Gone | Recorded | Fault | AtMost
Messages = list[Message]  # sent before a step begins and at the end: what the step before brought comes with it
