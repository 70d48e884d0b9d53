"""``probe``: which levels work on this machine, seen by entering each in a child that then looks around."""

import os
import sys
import warnings
from pathlib import Path

import msgspec

from studium_graders.engine.processes.own_folder import OwnFolder
from studium_graders.engine.sandbox.entering import enter
from studium_graders.engine.sandbox.landlock import abi
from studium_graders.engine.sandbox.levels import Level, Policy, Probe, SandboxError
from studium_graders.engine.sandbox.readable import readable_roots

_REPORT_BYTES = 4096


def probe(policy: Policy | None = None) -> Probe:
    """Return the highest level that works here for this user, and why higher ones do not.

    Each level is really entered, in a child of this process. ``policy``: what the students will have (default: what
    Python needs); its scratch is not used.
    """
    if not sys.platform.startswith("linux"):
        return Probe(Level.SELF_CHECK, {Level.L0: f"a sandbox needs Linux; this is {sys.platform}"})
    policy = policy or Policy(readable=readable_roots(), hidden=(), scratch="")
    reasons: dict[Level, str] = {}
    for level in sorted(Level, reverse=True):
        if level == Level.SELF_CHECK or not (reason := _why_not(level, policy)):
            return Probe(level, reasons, abi())
        reasons[level] = reason
    raise AssertionError("the self-check level needs nothing")


def describe(found: Probe) -> str:
    """Return one line for people: what works, what it means for grading, and what a higher level lacks."""
    landlock = f" (Landlock {found.abi})" if found.abi else ""
    enough = "" if found.level >= Level.L2 else "; grading needs L2 or --trust-submissions"
    higher = "".join(f"; {level.label}: {reason}" for level, reason in sorted(found.reasons.items()))
    return f"{found.level.label}{landlock}{enough}{higher}"


def _why_not(level: Level, policy: Policy) -> str:
    with OwnFolder("studium-probe-") as folder:
        secret = Path(folder) / "secret"
        secret.write_text("secret", "ascii")
        scratch = Path(folder) / "scratch"
        scratch.mkdir()
        Path(folder).chmod(0o711)
        return _try(level, policy, str(scratch), str(secret))


def _try(level: Level, policy: Policy, scratch: str, secret: str) -> str:
    """Return "" where the level works, else one sentence."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # threads of this process: the child uses none of theirs
        child = os.fork()
    if child == 0:
        _look_around(level, _with(policy, scratch, writing), secret, writing)
    os.close(writing)
    with open(reading, "rb") as report:  # noqa: PTH123
        said = report.read(_REPORT_BYTES).decode(errors="replace")
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return "" if said == "fine" and status == 0 else said or f"the process ended with status {status}"


def _with(policy: Policy, scratch: str, keep: int) -> Policy:
    return msgspec.structs.replace(policy, scratch=scratch, keep=(keep,))


def _look_around(level: Level, policy: Policy, secret: str, writing: int) -> None:
    """In the child: enter, and say "fine" if what must work works and what must not does not."""
    try:
        enter(level, policy)
        said = _complaint(level, policy, secret) or "fine"
    except (SandboxError, OSError) as error:
        said = str(error)
    except BaseException as error:
        said = f"{type(error).__name__}: {error}"
    os.write(writing, said.encode()[:_REPORT_BYTES])
    os._exit(0)


def _complaint(level: Level, policy: Policy, secret: str) -> str:
    Path("own").write_text("own", "ascii")
    for path in policy.readable:
        if not _opens(path):
            return f"{path} must be readable in the sandbox, and is not"
    if level >= Level.L1 and _opens(secret):
        return "a file outside the sandbox could still be read"
    return ""


def _opens(path: str) -> bool:
    try:
        os.close(os.open(path, os.O_RDONLY))
    except OSError:
        return False
    return True
