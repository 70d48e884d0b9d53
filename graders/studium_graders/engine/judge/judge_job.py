"""What the supervisor tells a judge process to do, and what it is told beside the judge's events."""

import msgspec

from studium_graders.engine.judge.events import Finished, How, Judged, Planned, Ran, Started
from studium_graders.engine.material.assignment import Calibration, CanonicalNotebook, Material
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
    """What one judge process is told: a submitted notebook, and the pass over it.

    ``released``: tests are as students got them, and no hidden one is there. ``how`` says which tests run. ``skip`` are
    cells that ended an attempt, ``slow`` the tests among them that were stopped for their time, ``done`` the tests that
    this pass has judged. ``even_empty``: the cells are run though the pass has no test.
    ``seed`` is secret. ``folder`` is for this notebook alone: the working folder is a new one inside it.
    ``recording`` notes what the reference solution needs.
    """

    notebook: CanonicalNotebook
    seed: bytes
    folder: str
    calibration: Calibration = Calibration()
    skip: frozenset[str] = frozenset()
    slow: frozenset[str] = frozenset()
    done: frozenset[str] = frozenset()
    released: bool = False
    how: How = "apart"
    even_empty: bool = False
    recording: bool = False


class Gone(msgspec.Struct, frozen=True, tag="gone"):
    """The student's process ended, took too long, or sent what is no message."""

    verdict: Verdict
    sentence: str


class Recorded(msgspec.Struct, frozen=True, tag="recorded"):
    """What the reference solution needed in a pass.

    By grade id, ``unverified`` has reasons of tests of topics that cannot run apart, ``words`` what they received.
    ``scored`` are tests that run whole and end with a number.
    """

    unverified: dict[str, str] = {}
    scored: frozenset[str] = frozenset()
    words: dict[str, frozenset[str]] = {}

    def and_then(self, later: "Recorded") -> "Recorded":
        """Return this together with what another pass needed."""
        return Recorded(self.unverified | later.unverified, self.scored | later.scored, self.words | later.words)


class Fault(msgspec.Struct, frozen=True, tag="fault"):
    """The judge itself failed, which is no student's doing."""

    trace: str


class AtMost(msgspec.Struct, frozen=True, tag="at most"):
    """The student's process may allocate at most so many MB more, None: as much as before. The judge waits for True."""

    megabytes: float | None


Message = Planned | Started | Ran | Judged | Finished | Gone | Recorded | Fault | AtMost
Messages = list[Message]  # sent before a step begins and at the end: what the step before brought comes with it
