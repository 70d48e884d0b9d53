"""Run break-outs, each in a child that entered the sandbox, and print what came of it as JSON.

A program of its own, so that it can become another user or lose namespaces first:
``attacker.py FOLDER USER DENIED LEVELS NAMES``. DENIED is any of "namespaces", "landlock"; without NAMES, all are
tried. The level "none" is a child that enters nothing: it shows what the checks are worth.
"""

import contextlib
import ctypes
import json
import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import msgspec
from attempts import ATTEMPTS, World
from studium_graders.course.limits import Limits
from studium_graders.engine.sandbox import Level, Policy, SandboxError, enter, foresee, fork, probe, readable_roots

LIMITS = Limits(memory_mb=256, processes=16, open_files=64, disk_mb=16, cpu_seconds=1)
SECONDS = 120  # a busy machine gives an attempt little of its time


def make_world(root: Path, user: int) -> World:
    """What a grading machine has: a course, another student's answer, an installed topic, a process, sockets."""
    for path, text in {
        "course/gradebook.db": "marks",
        "scratch-of-another/answer.py": "answer",
        "site/library.py": "x = 1",
        "site/topic/__init__.py": "",
        "site/topic/lesson.py": "public = 1",
        "site/topic/exercises.py": "answer = 'SOLUTION'",
        "site/topic/reference.py": "answer = 'SOLUTION'",
        "site/topic/__pycache__/exercises.cpython-311.pyc": "SOLUTION",
    }.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    for path in (root, *root.rglob("*")):
        os.chown(path, user, user)
        path.chmod(0o755)
    if os.geteuid() == 0:
        shutil.copy("/usr/bin/id", root / "site" / "id")
        (root / "site" / "id").chmod(0o4755)
    return World(root)


def open_way_to_python() -> None:
    """Where Python is in a folder closed to others, such as /root: open a way, in a mount namespace of our own."""
    prefix = Path(os.path.realpath(sys.base_prefix))
    closed = [folder for folder in reversed(prefix.parents) if not folder.stat().st_mode & 0o001]
    if not closed:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    hold = Path("/mnt")
    for arguments in (
        (b"none", b"/", None, 0x44000, None),
        (bytes(prefix), bytes(hold), None, 0x5000, None),
        (b"none", bytes(closed[0]), b"tmpfs", 0, b"mode=755"),
    ):
        if arguments[1] == b"/" and libc.unshare(0x20000):
            raise OSError(ctypes.get_errno(), "unshare")
        if libc.mount(*arguments):
            raise OSError(ctypes.get_errno(), "mount")
    prefix.mkdir(parents=True)
    if libc.mount(bytes(hold), bytes(prefix), None, 0x5000, None):
        raise OSError(ctypes.get_errno(), "mount")


def deny(kinds: list[str]) -> None:
    """Do what a container does: a filter that refuses namespaces, mounts, or knows no Landlock."""
    refused = {}
    if "namespaces" in kinds:
        refused |= dict.fromkeys({"x86_64": (272, 165, 308)}.get(os.uname().machine, (97, 40, 268)), 1)
    if "landlock" in kinds:
        refused |= dict.fromkeys((444, 445, 446), 38)
    if not refused:
        return
    code = struct.pack("=HBBI", 0x20, 0, 0, 0)
    for number, answer in refused.items():
        code += struct.pack("=HBBI", 0x15, 0, 1, number) + struct.pack("=HBBI", 6, 0, 0, 0x50000 | answer)
    code = ctypes.create_string_buffer(code + struct.pack("=HBBI", 6, 0, 0, 0x7FFF0000))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(38, 1, 0, 0, 0)
    if libc.prctl(22, 2, struct.pack("H6xQ", (len(code) - 1) // 8, ctypes.addressof(code)), 0, 0):
        raise OSError(ctypes.get_errno(), "seccomp")


def reset(world: World) -> Path:
    """Undo what a successful break-out did; give a new scratch."""
    shutil.rmtree(world.root / "scratch", ignore_errors=True)
    for path, text in ((world.gradebook, "marks"), (world.root / "site" / "library.py", "x = 1")):
        path.write_text(text)
        path.chmod(0o644)
        os.utime(path)
        if b"user.x" in map(os.fsencode, os.listxattr(path)):
            os.removexattr(path, b"user.x")
    world.outside.unlink(missing_ok=True)
    (world.root / "scratch").mkdir()
    return world.root / "scratch"


def policy_at(level: Level | None, world: World, *, foreseen: bool) -> Policy:
    """The policy for all break-outs; ``foreseen`` as a student's zygote has it, with what all students see in place."""
    site = str(world.root / "site")
    hidden = tuple(f"{site}/topic/{name}" for name in ("exercises.py", "reference.py", "__pycache__"))
    policy = Policy((*readable_roots(), site), hidden, "", LIMITS)
    if not foreseen:
        return policy
    shown = world.root / "shown"
    shown.mkdir()
    return foresee(level, policy, str(shown))


def at_level(label: str, world: World, names: list[str]) -> dict[str, tuple[bool, str]]:
    """Try these break-outs at "none", at a level, or at "L2 foreseen"."""
    name, _, foreseen = label.partition(" ")
    level = None if name == "none" else Level[name]
    policy = policy_at(level, world, foreseen=bool(foreseen))
    return {attempt: one(level, policy, attempt, world) for attempt in names}


def one(level: Level | None, policy: Policy, name: str, world: World) -> tuple[bool, str]:
    """Run one break-out: whether it got out, and what it said."""
    scratch = reset(world)
    reading, writing = os.pipe()
    child = fork(level) if level else os.fork()
    if child == 0:
        _attack(level, msgspec.structs.replace(policy, scratch=str(scratch), keep=(writing,)), name, world)
    os.close(writing)
    said = b""
    while select.select([reading], [], [], SECONDS)[0] and (part := os.read(reading, 1 << 16)):
        said += part
        if said.endswith(b"\n"):
            break
    os.close(reading)
    for kill in (os.killpg, os.kill):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            kill(child, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return tuple(json.loads(said)) if said else (False, f"it ended with status {status}")


def _attack(level: Level | None, policy: Policy, name: str, world: World) -> None:
    try:
        if level:
            enter(level, policy)
        else:
            os.setpgid(0, 0)
            os.chdir(policy.scratch)
        value = ATTEMPTS[name](world)
        answer = (bool(value), repr(value)[:200])
    except SandboxError as error:
        answer = (True, f"SANDBOX NOT ENTERED: {error}")
    except BaseException as error:
        answer = (False, f"{type(error).__name__}: {error}"[:200])
    os.write(policy.keep[0], json.dumps(answer).encode() + b"\n")
    signal.pause()
    os._exit(0)


def serve(world: World) -> list[socket.socket]:
    """Sockets that a break-out can connect to."""
    listener, datagrams = socket.socket(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listener.bind(("127.0.0.1", 0))
    world.port = listener.getsockname()[1]
    datagrams.bind(("127.0.0.1", world.port))
    abstract, named = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
    abstract.bind(f"\0studium-{world.port}")
    named.bind(str(world.socket))
    for server in (listener, abstract, named):
        server.listen(64)
    return [listener, datagrams, abstract, named]


def main(folder: str, user: str, denied: str, levels: str, names: str) -> None:
    """Prepare, become the user by starting again, then try the break-outs at every level."""
    number = int(user)
    if os.geteuid() == 0 and number != 0:
        make_world(Path(folder), number)
        open_way_to_python()
        os.setgroups([])
        os.setresgid(number, number, number)
        os.setresuid(number, number, number)
        os.execv(sys.executable, [sys.executable, "-I", __file__, *sys.argv[1:]])
    world = World(Path(folder)) if (Path(folder) / "site").exists() else make_world(Path(folder), number)
    deny(denied.split(","))
    servers = serve(world)
    world.folder_descriptor = os.open(world.gradebook.parent, os.O_RDONLY)
    world.file_descriptor = os.open(world.gradebook, os.O_RDONLY)
    victim = subprocess.Popen(
        ["victim", "300"], executable="/bin/sleep", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    world.parent, world.victim = os.getpid(), victim.pid
    found = probe()
    chosen = names.split(",") if names else list(ATTEMPTS)
    outcomes = {level: at_level(level, world, chosen) for level in levels.split(",")}
    victim.kill()
    del servers
    reasons = {level.name: reason for level, reason in found.reasons.items()}
    print(json.dumps({"level": found.level.name, "reasons": reasons, "abi": found.abi, "outcomes": outcomes}))


if __name__ == "__main__":
    main(*sys.argv[1:])
