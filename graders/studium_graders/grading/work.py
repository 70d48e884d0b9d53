"""What a worker does: module functions that take and return bytes, so threads and other machines run the same code.

A worker's process keeps its engine, whose zygotes are warm, for as long as the same assignment is graded.
"""

import atexit
import socket
import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager

import msgspec
from studium.errors import CourseError

from studium_graders.engine.material.assignment import CanonicalSubmission, Material
from studium_graders.engine.sandbox import Level, probe
from studium_graders.engine.supervision.engine import Engine
from studium_graders.grading import ancestor
from studium_graders.results.store import exercise_hashes, own_code_hash

# Created here and not in threads: if two threads build msgspec's decoder for a type at once, the process crashes.
_materials = msgspec.msgpack.Decoder(Material)
_submissions = msgspec.msgpack.Decoder(CanonicalSubmission)


class Work(msgspec.Struct, frozen=True):
    """How to grade an assignment. ``digest`` identifies the material before calibration; ``hidden`` are the course's
    paths.

    ``environment`` identifies the software that determines marks: an engine started with other software is not used.
    ``code`` is what ``code_of`` returns where the work comes from: a machine with other code does not grade.
    """

    digest: str
    level: str
    jobs: int = 1
    trust: bool = False
    gpu: bool = False
    hidden: tuple[str, ...] = ()
    environment: str = ""
    code: tuple[tuple[str, str], ...] = ()


def probe_level() -> tuple[str, str]:
    """Return the highest sandbox level of this machine, and why it lacks L2 ("" if it has it)."""
    found = probe()
    return found.level.label, found.reasons.get(Level.L2, "")


def code_of(packages: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Return the code that determines marks on this machine, Studium's and the topics' exercises, by package."""
    return ("studium", own_code_hash()), *exercise_hashes(packages).items()


def calibrate(work: Work, material: bytes) -> bytes:
    """Return the material with what its reference solution needs."""
    with _engines.use(work, material) as engine:
        return msgspec.msgpack.encode(engine.calibrate())


def modes(work: Work, material: bytes) -> bytes:
    """Return what each test gives the reference solution. ``material`` is calibrated."""
    with _engines.use(work, material) as engine:
        return msgspec.msgpack.encode(engine.modes())


def vacuous_tests(work: Work, material: bytes) -> bytes:
    """Return the tests that vacuous answers pass. ``material`` is calibrated."""
    with _engines.use(work, material) as engine:
        return msgspec.msgpack.encode(engine.vacuous_tests())


def grade(work: Work, material: bytes, submission: bytes) -> bytes:
    """Return the result of a submission. ``material`` is calibrated."""
    with _engines.use(work, material) as engine:
        return msgspec.msgpack.encode(engine.grade(_submissions.decode(submission)))


def close_engines() -> None:
    """End the processes of this worker's engine; what engines share stays warm until this process ends."""
    _engines.close()


class _Engines:
    """The engine of this process, one at a time."""

    def __init__(self) -> None:
        self._lock = threading.Condition()
        self._users = 0
        self._work: Work | None = None
        self._engine: Engine | None = None
        self._material = b""
        self._open = ExitStack()

    @contextmanager
    def use(self, work: Work, material: bytes) -> Iterator[Engine]:
        """Return the engine for this work, started if necessary; the engine of other work ends when it is idle."""
        with self._lock:
            self._lock.wait_for(lambda: self._work == work or not self._users)
            if self._engine is None or self._work != work:
                self._open.close()
                self._work, self._engine = None, None
                self._engine = self._open.enter_context(self._start(work, material))
                self._work, self._material = work, material
            if material != self._material:  # the same assignment, calibrated since then or again
                self._engine.material, self._material = _materials.decode(material), material
            self._users += 1
            engine = self._engine
        try:
            yield engine
        finally:
            with self._lock:
                self._users -= 1
                self._lock.notify_all()

    def close(self) -> None:
        """End the engine."""
        with self._lock:
            self._work, self._engine = None, None
            self._open.close()

    def _start(self, work: Work, material: bytes) -> Engine:
        _require_code(work.code)
        decoded = _materials.decode(material)
        return Engine(
            decoded,
            Level(work.level),
            work.jobs,
            trust=work.trust,
            hidden=work.hidden,
            gpu=work.gpu,
            ancestor=ancestor.ancestor,
        )


def _require_code(code: tuple[tuple[str, str], ...]) -> None:
    """Raise CourseError if this machine's code differs from that of the machine the work comes from."""
    own = dict(code_of(name for name, _ in code[1:])) if code else {}
    if other := [name for name, digest in code if own[name] != digest]:
        raise CourseError(
            f"the worker {socket.gethostname()} must have the same {' and '.join(other)} as the machine that sends it "
            f"work, but has another; install the same version there, restart the worker, then grade again"
        )


_engines = _Engines()


atexit.register(_engines.close)
