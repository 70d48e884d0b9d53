"""Going in: what fails closed, how a sandbox ends, and what is left to the student."""

# ruff: noqa: PTH208

import os
import signal
import stat
import sys
import threading
import time
from pathlib import Path

import pytest
from studium_graders.course.limits import Limits
from studium_graders.engine.sandbox import (
    Level,
    Policy,
    enter,
    entering,
    fork,
    landlock,
    probe,
    readable_roots,
    seccomp,
)
from studium_graders.engine.sandbox.levels import SandboxError

from tests.children import child

if not sys.platform.startswith("linux"):
    pytest.skip("a sandbox needs Linux", allow_module_level=True)
FOUND = probe()
LEVELS = [level for level in (Level.L0, Level.L1, Level.L2) if level <= FOUND.level]
REFUSED, RAN = 70, 71
PARTS = [
    (Level.L2, entering, "unshare_all"),
    (Level.L2, entering, "enter_root_folder"),
    (Level.L2, entering, "drop_bounding_set"),
    (Level.L2, landlock, "restrict"),
    (Level.L2, seccomp, "install"),
    (Level.L2, entering, "limit_resources"),
    (Level.L1, landlock, "restrict"),
    (Level.L1, seccomp, "install"),
    (Level.L1, entering, "seal"),
    (Level.L0, entering, "limit_resources"),
]


ERRORS = [OSError(1, "no"), KeyError("machine"), ValueError("what"), SandboxError("so")]


@pytest.mark.parametrize(
    ("level", "module", "name", "error"),
    [(*part, ERRORS[number % 4]) for number, part in enumerate(PARTS)] + [(*PARTS[0], error) for error in ERRORS[1:]],
)
def test_a_part_that_fails_ends_the_process_before_any_student_code(inside, monkeypatch, level, module, name, error):
    def fail(*_arguments, **_options):
        raise error

    if level > FOUND.level:
        pytest.skip(f"this machine has no {level.label}")
    monkeypatch.setattr(module, name, fail)
    status, said = inside(level, lambda: "student code")
    assert status == REFUSED
    assert said.startswith("SandboxError")


def test_the_same_without_the_failure_runs_student_code(inside):
    for level in LEVELS:
        assert inside(level, lambda: "student code") == (0, "student code")


def test_a_filter_that_is_not_in_place_is_noticed(inside, monkeypatch):
    if FOUND.level < Level.L1:
        pytest.skip("this machine has no L1")
    monkeypatch.setattr(seccomp, "install", lambda **_options: None)
    status, said = inside(FOUND.level, lambda: "student code")
    assert status == REFUSED
    assert "filter" in said


def test_a_scratch_that_is_not_there_is_refused(inside):
    for level in LEVELS:
        status, said = inside(level, lambda: "student code", scratch="/nonexistent/scratch")
        assert status == REFUSED, said


def test_devices_that_are_given_can_be_used(inside):
    """A GPU has files and a folder of its own; these stand in for them."""
    given = tuple(device for device in ("/dev/ptmx", "/dev/pts") if Path(device).exists())

    def kinds():
        return [stat.S_IFMT(Path(device).stat().st_mode) for device in given]

    for level in LEVELS:
        assert inside(level, kinds, devices=given) == (0, str(kinds()))


@pytest.mark.skipif(FOUND.level < Level.L2, reason="this machine has no L2")
def test_devices_that_are_not_given_are_not_there(inside):
    assert inside(Level.L2, lambda: sorted(os.listdir("/dev"))) == (
        0,
        str(sorted(["fd", "full", "null", "random", "shm", "stderr", "stdin", "stdout", "urandom", "zero"])),
    )


def test_a_process_with_two_threads_is_refused(inside):
    def forked():
        child = os.fork()
        if child == 0:
            threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
        return child

    status, said = inside(LEVELS[-1], lambda: "student code", forked)
    assert status == REFUSED
    assert "one thread" in said


@pytest.mark.parametrize("forked", [None, os.fork], ids=["fork of ours", "os.fork"])
def test_the_exit_status_and_the_signal_come_through(inside, forked):
    for level in LEVELS:
        assert inside(level, lambda: os._exit(7), forked)[0] == 7
        assert inside(level, _crash, forked)[0] == -signal.SIGSEGV


def _crash():
    import ctypes

    ctypes.string_at(0)


@pytest.mark.parametrize("level", [level for level in LEVELS if level >= Level.L2])
@pytest.mark.parametrize("forked", [fork, lambda level: os.fork()], ids=["fork of ours", "os.fork"])
def test_all_that_a_student_started_ends_with_the_process(level, forked, tmp_path):
    """Daemons too: they double fork and leave the session, which a kill of the process group would not reach."""
    reading, writing = os.pipe()

    def student():
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                time.sleep(300)
            os._exit(0)
        time.sleep(300)

    scratch = tmp_path / "s"
    scratch.mkdir()
    child = forked(level)
    if child == 0:
        enter(level, Policy(readable_roots(), (), str(scratch), keep=(writing,)))
        os.write(writing, b"in")
        student()
    os.close(writing)
    assert os.read(reading, 2) == b"in"
    time.sleep(0.2)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert os.read(reading, 1) == b"", "a process of the student's still holds the pipe"
    os.close(reading)


@pytest.mark.parametrize("level", LEVELS)
def test_a_sandbox_ends_when_its_zygote_is_killed(level, tmp_path):
    program = """
import os, sys, time
from studium_graders.engine.sandbox import Level, Policy, enter, fork, readable_roots
level, writing = Level[sys.argv[1]], int(sys.argv[3])
if fork(level) == 0:
    enter(level, Policy(readable_roots(), (), sys.argv[2], keep=(writing,)))
    os.write(writing, b"in")
time.sleep(300)
"""
    tmp_path.chmod(0o755)
    reading, writing = os.pipe()
    command = [sys.executable, "-I", "-c", program, level.name, str(tmp_path), str(writing)]
    with child(command, pass_fds=(writing,)) as zygote:
        os.close(writing)
        assert os.read(reading, 2) == b"in"
        zygote.kill()
        zygote.wait(60)
        assert os.read(reading, 1) == b""
        os.close(reading)


def test_the_working_folder_is_empty_and_can_be_written(inside):
    def work():
        import tempfile

        before = os.listdir()
        Path("answer.txt").write_text("x")
        with tempfile.NamedTemporaryFile() as file:
            here = file.name
        return before, os.listdir(), Path.home().is_dir(), here.startswith(str(Path.cwd().parent))

    for level in LEVELS:
        assert inside(level, work) == (0, "([], ['answer.txt'], True, True)")


def test_standard_streams_lead_nowhere(inside):
    def look():
        os.write(1, b"x" * 100_000)
        return os.read(0, 1), os.isatty(0), os.isatty(2)

    for level in LEVELS:
        assert inside(level, look) == (0, "(b'', False, False)")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has users to spare")
def test_as_root_every_process_is_another_user_without_groups_and_capabilities(inside):
    def who():
        return os.getresuid(), os.getgroups()

    seen = [inside(level, who)[1] for level in LEVELS if level >= Level.L1 for _ in range(2)]
    assert len(set(seen)) == len(seen)
    assert not any(said.startswith("((0,") for said in seen)


def test_a_file_is_shown_in_the_place_of_another(inside, tmp_path):
    if FOUND.level < Level.L2:
        pytest.skip("this machine has no L2")
    topic, public = tmp_path / "site" / "topic", tmp_path / "public.py"
    (topic / "__pycache__").mkdir(parents=True)
    (topic / "exercises.py").write_text("secret")
    (topic / "lesson.py").write_text("lesson")
    public.write_text("public")

    def read():
        return (topic / "exercises.py").read_text(), (topic / "lesson.py").read_text(), public.exists()

    options = {
        "readable": (str(tmp_path / "site"),),
        "replaced": ((str(topic / "exercises.py"), str(public)),),
    }
    assert inside(Level.L2, read, **options) == (0, "('public', 'lesson', False)")


def test_a_folder_is_shown_in_the_place_of_another(inside, tmp_path):
    if FOUND.level < Level.L2:
        pytest.skip("this machine has no L2")
    exercises, public = tmp_path / "site" / "topic" / "exercises", tmp_path / "public"
    for folder, files in (
        (exercises, ("__init__.py", "merge.py", "_shared.py")),
        (public, ("__init__.py", "merge.py")),
    ):
        folder.mkdir(parents=True)
        for name in files:
            (folder / name).write_text(folder.name)

    def read():
        return sorted((path.name, path.read_text()) for path in exercises.iterdir())

    options = {"readable": (str(tmp_path / "site"),), "replaced": ((str(exercises), str(public)),)}
    shown = str([("__init__.py", "public"), ("merge.py", "public")])
    assert inside(Level.L2, read, **options) == (0, shown)


@pytest.mark.parametrize("level", [level for level in LEVELS if level >= Level.L1])
def test_nothing_of_a_folder_that_has_a_substitute_is_read(level, inside, tmp_path):
    secret, public = tmp_path / "site" / "topic" / "exercises", tmp_path / "public"
    secret.mkdir(parents=True)
    public.mkdir()
    (secret / "merge.py").write_text("secret")

    def read():
        try:
            return (secret / "merge.py").read_text()
        except OSError:
            return "nothing"

    options = {"readable": (str(tmp_path / "site"),), "replaced": ((str(secret), str(public)),)}
    assert inside(level, read, **options) == (0, "nothing")


def test_limits_are_those_of_the_policy(inside):
    def look():
        import resource

        kinds = (resource.RLIMIT_NOFILE, resource.RLIMIT_FSIZE, resource.RLIMIT_CORE, resource.RLIMIT_CPU)
        return [resource.getrlimit(kind)[0] for kind in kinds]

    limits = Limits(open_files=77, disk_mb=3, cpu_seconds=1.5)
    assert inside(LEVELS[-1], look, limits=limits) == (0, f"[77, {3 << 20}, 0, 2]")
