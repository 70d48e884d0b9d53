"""The student's process: into the sandbox, then it does what the judge asks. Nothing secret is ever in it."""

import os
import random
import socket
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import msgspec

from studium_graders.engine import sandbox
from studium_graders.engine.processes.links import receive, send
from studium_graders.engine.processes.public_imports import import_all
from studium_graders.engine.processes.working_folder import write_files
from studium_graders.engine.sandbox import Level, Policy, SandboxError, enter, readable_roots
from studium_graders.engine.student_side.cells import INLINE, Cells
from studium_graders.engine.student_side.serving import serve
from studium_graders.engine.student_side.student_job import Refused, StudentJob, StudentSetup
from studium_graders.engine.student_side.warm_up import warm_up

SECRETS = False


@dataclass(frozen=True)
class Prepared:
    """What every student process starts with."""

    setup: StudentSetup
    policy: Policy
    cells: Cells


def prepare(setup: bytes) -> Prepared:
    """Import and use once what students' code needs."""
    decoded = msgspec.msgpack.decode(setup, type=StudentSetup)
    cells = Cells(warm_up(), decoded.limits.output_kb)
    os.environ["MPLBACKEND"] = INLINE
    import_all(decoded.imports)
    policy = Policy(
        readable=readable_roots(),
        hidden=decoded.hidden,
        replaced=decoded.replaced,
        scratch="",
        limits=decoded.limits,
        devices=tuple(map(str, Path("/dev").glob("nvidia*"))) if decoded.gpu else (),
    )
    _seed()
    policy = sandbox.foresee(decoded.level, policy, decoded.root)
    msgspec.msgpack.Decoder(StudentJob)  # looks at the type, which is remembered
    return Prepared(decoded, policy, cells)


def fork(prepared: Prepared) -> int:
    """Fork into namespaces at once, where that is possible."""
    return sandbox.fork(prepared.setup.level)


def run(prepared: Prepared, descriptors: list[int]) -> None:
    """Be one student's process. The first descriptor is the supervisor's link, the second the judge's wire."""
    with socket.socket(fileno=descriptors[0]) as link:
        job = receive(link, StudentJob)
        try:
            _enter(prepared, job.scratch, descriptors)
        except SandboxError as error:
            send(link, Refused(str(error)))
            return
        write_files(prepared.setup.files | job.files)
    sys.path.append(os.getcwd())  # noqa: PTH109  last: a file of the student's must not shadow a library
    random.seed(0)  # Python seeds it anew in every fork
    wire, setup = socket.socket(fileno=descriptors[1]), prepared.setup
    serve(wire, prepared.cells, setup.limits, packages=setup.packages)


def _enter(prepared: Prepared, scratch: str, descriptors: list[int]) -> None:
    level = prepared.setup.level
    if level == Level.SELF_CHECK:
        os.chdir(tempfile.mkdtemp(dir=scratch))
        return
    enter(level, msgspec.structs.replace(prepared.policy, scratch=scratch, keep=tuple(descriptors)))


def _seed() -> None:
    """Let every attempt start from the same random numbers, whatever was drawn while this process was warmed up."""
    import numpy as np
    import torch

    np.random.seed(0)
    torch.manual_seed(0)
