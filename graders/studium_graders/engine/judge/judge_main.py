"""The judge's process: it alone has the tests. It drives the student's process and tells the supervisor."""

import hmac
import os
import socket
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial

import msgspec
import numpy as np
from studium.catalogue.catalogue import load_catalogue
from studium.exercises.memory_limit import limit_elsewhere
from studium.exercises.model import Exercise

from studium_graders.course.limits import Limits
from studium_graders.engine.judge.apart import run_apart
from studium_graders.engine.judge.events import Finished, Judged, Planned, Ran
from studium_graders.engine.judge.guard import install
from studium_graders.engine.judge.judge_job import (
    AtMost,
    Fault,
    Gone,
    JudgeJob,
    JudgeSetup,
    Message,
    Messages,
    Recorded,
)
from studium_graders.engine.judge.modes import plan_of, turns_of
from studium_graders.engine.judge.notebook import Work
from studium_graders.engine.judge.prepare import Prepared as PreparedNotebook
from studium_graders.engine.judge.prepare import prepare as prepare_notebook
from studium_graders.engine.judge.whole import run_whole
from studium_graders.engine.judge_side.student import Student
from studium_graders.engine.judge_side.student_gone import StudentGone
from studium_graders.engine.processes.links import LinkClosedError, receive, send
from studium_graders.engine.processes.public_imports import import_all, starts_compilers
from studium_graders.engine.processes.working_folder import write_files
from studium_graders.engine.sandbox.landlock import Rule
from studium_graders.engine.sandbox.reach import confine, rules_of_tests
from studium_graders.engine.student_side.warm_up import warm_up

if sys.platform != "win32":
    import resource

SECRETS = True
_MEMORY_OF_TESTS_MB = 2048
Emit = Callable[[Message], None]


@dataclass(frozen=True)
class Prepared:
    """What every judge process starts with."""

    limits: Limits
    files: dict[str, bytes]
    notebooks: Mapping[str, PreparedNotebook]
    rules: tuple[Rule, ...]
    programs: bool
    packages: tuple[str, ...]


def prepare(setup: bytes) -> Prepared:
    """Read the material and import what its tests need."""
    warm_up()
    np.random.seed()  # the student's process, of the same ancestor, has what was drawn for it at import
    decoded = msgspec.msgpack.decode(setup, type=JudgeSetup)
    material = decoded.material
    import_all(decoded.imports)
    programs = starts_compilers(material)
    install(compiles=programs)
    os.chdir(decoded.folder)
    write_files(material.files)
    msgspec.msgpack.Decoder(JudgeJob)  # looks at the type, which is remembered
    catalogue = cache(load_catalogue)

    def exercises(topic: str) -> Mapping[str, Exercise]:
        return catalogue()[topic].exercises

    notebooks = {book.name: prepare_notebook(book, exercises) for book in material.notebooks}
    rules = rules_of_tests([decoded.folder], decoded.hidden, programs=programs) if sys.platform == "linux" else ()
    return Prepared(material.limits, material.files, notebooks, rules, programs, decoded.packages)


def run(prepared: Prepared, descriptors: list[int]) -> None:
    """Judge one submitted notebook. The first descriptor is the supervisor's link, the second the student's wire."""
    if hasattr(os, "setsid") and os.getsid(0) != os.getpid():
        os.setsid()
    _limit_memory(prepared.limits)
    link = socket.socket(fileno=descriptors[0])
    job = receive(link, JudgeJob)
    limit_elsewhere(partial(_limited_there, link))
    _settle(prepared, job.folder)
    events: Messages = []

    def emit(event: Message) -> None:
        events.append(event)
        if not isinstance(event, Planned | Ran | Judged | Recorded):
            send(link, events)
            events.clear()

    try:
        _judge(prepared, job, socket.socket(fileno=descriptors[1]), emit)
    except StudentGone as gone:
        emit(Gone(gone.verdict, gone.sentence))
    except LinkClosedError:
        return
    except BaseException:
        emit(Fault(traceback.format_exc()))


@contextmanager
def _limited_there(link: socket.socket, megabytes: float) -> Iterator[None]:
    """Have the supervisor limit what the student's process may allocate, which itself cannot change that."""
    _ask_for(link, megabytes)
    try:
        yield
    finally:
        _ask_for(link, None)


def _ask_for(link: socket.socket, megabytes: float | None) -> None:
    send(link, [AtMost(megabytes)])
    receive(link, bool)


def _settle(prepared: Prepared, folder: str) -> None:
    """Go to work in a new folder, where the files are as they were handed out, and reach no others from now on."""
    tempfile.tempdir = own = tempfile.mkdtemp(dir=folder)
    os.chdir(own)
    write_files(prepared.files)
    if sys.platform == "linux":
        confine(own, prepared.rules, programs=prepared.programs)


def _limit_memory(limits: Limits) -> None:
    """Let what a student's process sends end in a MemoryError of the test, not in that of the machine."""
    if sys.platform != "win32":
        most = limits.memory_mb + _MEMORY_OF_TESTS_MB << 20
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def _judge(prepared: Prepared, job: JudgeJob, wire: socket.socket, emit: Emit) -> None:
    """Run a pass over the notebook; the end is told last, after what the reference needed."""

    def pass_on(event: Message) -> None:
        if not isinstance(event, Finished):
            emit(event)

    notebook = prepared.notebooks[job.notebook.name]
    plan = plan_of(notebook)
    turns = turns_of(notebook.material, plan, released=job.released, how=job.how)
    if job.released and notebook.as_released is not None:
        notebook = notebook.as_released
    emit(plan)
    if turns.judged or job.even_empty:
        work = Work(
            notebook,
            job.notebook,
            plan,
            turns,
            job.released,
            job.seed,
            job.calibration,
            job.skip,
            job.slow,
            job.done,
        )
        student = Student(wire, prepared.limits, _random_state(job), packages=prepared.packages)
        if job.how == "whole":
            recorded = run_whole(student, work, pass_on)
        else:
            recorded = run_apart(student, work, pass_on, recording=job.recording)
        if job.recording:
            emit(recorded)
    emit(Finished())


def _random_state(job: JudgeJob) -> bytes:
    """Return the secret by which random numbers move on: a test's globals lead to it, and not to the job's seed."""
    return hmac.digest(job.seed, b"random state", "sha256")
