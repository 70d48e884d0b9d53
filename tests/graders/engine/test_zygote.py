"""Warm processes: clean, forked often, started again, and nothing of theirs stays."""

import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import psutil
import pytest
from studium_graders.engine.processes import purity
from studium_graders.engine.processes import zygote as zygote_module
from studium_graders.engine.processes.interpreter import allowed_variables, environment, import_path
from studium_graders.engine.processes.zygote import Zygote, ZygoteError, common_ancestor

from tests.children import child

ROLE = """
import os, time
SECRETS = False

def prepare(setup):
    {prepare}
    return setup

def run(setup, descriptors):
    with os.fdopen(descriptors[0], "wb") as file:
        order = os.read(descriptors[1], 100)
        exec(order)
        file.write(setup)
"""


@pytest.fixture
def make_zygote(tmp_path, monkeypatch):
    """make_zygote(prepare="…") → a zygote of a little role whose forks do what they are told."""
    monkeypatch.syspath_prepend(str(tmp_path))
    zygotes = []

    def make(prepare="pass", setup=b"setup", **more):
        (tmp_path / "little_role.py").write_text(ROLE.format(prepare=prepare))
        zygotes.append(Zygote("little_role", setup, **more))
        return zygotes[-1]

    yield make
    for zygote in zygotes:
        zygote.close()


def fork(zygote, order="pass"):
    """Fork, let it do the order; give the fork and what it wrote."""
    ours, theirs = socket.socketpair()
    reading, writing = os.pipe()
    with ours, theirs:
        one = zygote.fork([writing, theirs.fileno()])
        os.close(writing)
        ours.send(textwrap.dedent(order).encode())
        with os.fdopen(reading, "rb") as answer:
            return one, answer.read()


def test_a_fork_lives_its_life_and_its_end_is_told(make_zygote):
    one, said = fork(make_zygote())
    assert (said, one.wait()) == (b"setup", 0)


@pytest.mark.parametrize(
    ("order", "status"),
    [("os._exit(3)", 3 << 8), ("os.kill(os.getpid(), 11)", 11), ("1 / 0", 70 << 8)],
)
def test_how_a_fork_ended_is_told(make_zygote, order, status):
    assert fork(make_zygote(), order)[0].wait() == status


def test_what_a_library_writes_at_home_when_it_is_imported_ends_with_the_warm_process(make_zygote):
    zygote = make_zygote("setup = os.path.expanduser('~/.config').encode(); os.makedirs(setup)")
    one, said = fork(zygote)
    one.wait()
    place = Path(said.decode())
    assert place.is_dir()
    assert not place.is_relative_to(environment()["HOME"])
    zygote.close()
    assert not place.parent.exists()


def test_the_home_of_a_warm_process_goes_with_it_also_where_its_parent_was_killed():
    code = (
        "import time\nfrom studium_graders.engine.processes.zygote import common_ancestor\none = common_ancestor()\n"
        "one.start()\none._be_ready()\nprint(one._process._home.name, flush=True)\ntime.sleep(60)"
    )
    with child([sys.executable, "-c", code], stdout=subprocess.PIPE) as parent:
        home = Path(parent.stdout.readline().strip())
        assert home.is_dir()
        parent.kill()
    end = time.monotonic() + 20
    while home.exists() and time.monotonic() < end:
        time.sleep(0.05)
    assert not home.exists()


def test_what_a_fork_left_behind_is_ended_before_its_end_is_told(make_zygote):
    zygote = make_zygote()
    order = """
        import signal
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        for _ in range(5):
            if os.fork() == 0:
                os.setsid()
                if os.fork() == 0:
                    os.fork()
                    os.closerange(0, 99)
                    time.sleep(600)
                os._exit(0)
        time.sleep(0.2)
    """
    one, _ = fork(zygote, order)
    one.wait()
    assert psutil.Process(zygote.pid).children(recursive=True) == []


def test_a_fork_has_no_files_but_those_it_was_given(make_zygote):
    zygote = make_zygote()
    _, said = fork(zygote, "file.write(str(sorted(map(int, os.listdir('/proc/self/fd')))).encode())")
    given = [int(number) for number in re.findall(rb"\d+", said)]
    assert len([number for number in given if number > 2]) == 2 + 1  # and the one that lists them


def test_a_fork_dies_with_its_zygote(make_zygote):
    zygote = make_zygote()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        one = zygote.fork([theirs.fileno(), theirs.fileno()])
        os.kill(zygote.pid, signal.SIGKILL)
        assert one.wait() is None
        assert not psutil.pid_exists(one.pid) or psutil.Process(one.pid).status() == psutil.STATUS_ZOMBIE


def test_a_zygote_that_was_killed_is_started_again(make_zygote):
    zygote = make_zygote()
    fork(zygote)[0].wait()
    first = zygote.pid
    os.kill(first, signal.SIGKILL)
    one, said = fork(zygote)
    assert (said, one.wait(), zygote.pid != first) == (b"setup", 0, True)


def test_a_zygote_is_forked_from_its_ancestor_again_also_where_that_was_killed_too(make_zygote):
    with common_ancestor() as ancestor:
        zygote = make_zygote("global torch; import torch", ancestor=ancestor)
        one, said = fork(zygote, "file.write(str(os.getppid()).encode())")
        assert (said, one.wait(), psutil.Process(zygote.pid).ppid()) == (b"%dsetup" % zygote.pid, 0, ancestor.pid)
        first = ancestor.pid
        os.kill(zygote.pid, signal.SIGKILL)
        os.kill(first, signal.SIGKILL)
        one, said = fork(zygote)
        assert (said, one.wait(), ancestor.pid != first) == (b"setup", 0, True)
    assert not psutil.pid_exists(ancestor.pid)


def test_a_fork_of_the_ancestors_makes_no_locks_of_logging_anew(make_zygote, ancestor):
    _, told = fork(
        make_zygote(ancestor=ancestor), "import logging; file.write(b'%d ' % len(logging._at_fork_reinit_lock_weakset))"
    )
    assert told == b"0 setup"


def test_a_setup_that_makes_it_unfit_is_followed_by_the_other_one(make_zygote):
    zygote = make_zygote("if setup == b'setup': 1 / 0", instead=b"bare")
    assert fork(zygote)[1] == b"bare"


def test_a_zygote_that_dies_each_time_is_given_up(make_zygote):
    zygote = make_zygote("import threading; threading.Timer(0.0, os._exit, [1]).run()")
    with pytest.raises(ZygoteError, match="did not"):
        fork(zygote)


def test_a_zygote_that_is_not_ready_in_time_is_told_apart_from_one_that_was_ended(make_zygote, monkeypatch):
    monkeypatch.setattr(zygote_module, "START_SECONDS", 1.0)
    with pytest.raises(ZygoteError, match=r"not ready within 1 s; run the command again on a less busy machine"):
        fork(make_zygote("time.sleep(60)"))


def test_many_threads_may_fork_at_the_same_time(make_zygote):
    zygote, ends = make_zygote(), []
    threads = [threading.Thread(target=lambda: ends.append(fork(zygote)[0].wait())) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ends == [0] * 12


def test_closing_ends_the_zygote_and_all_forks(make_zygote):
    zygote = make_zygote()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        zygote.fork([theirs.fileno(), theirs.fileno()])
        family = [psutil.Process(zygote.pid), *psutil.Process(zygote.pid).children()]
        zygote.close()
    assert not any(process.is_running() for process in family)


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        ("import threading; threading.Thread(target=time.sleep, args=(60,), daemon=True).start()", "one thread"),
        ("global kept; kept = open('/dev/null')", "/dev/null"),
        ("import studium_graders.engine.judge.scoring", "no tests and no solutions"),
        ("import studium_topics.lora.exercises", "studium_topics.lora"),
        ("1 / 0", "ZeroDivisionError"),
    ],
)
def test_a_process_that_is_not_fit_is_never_forked(make_zygote, prepare, words):
    with pytest.raises(ZygoteError, match=words):
        fork(make_zygote(prepare))


def test_an_unknown_variable_in_the_environment_is_seen(monkeypatch):
    monkeypatch.setattr(os, "environ", {"PATH": "/bin", "GRADEBOOK_PASSWORD": "x"})
    assert any("GRADEBOOK_PASSWORD" in sentence for sentence in purity.impurities((), secrets=True))


def test_cuda_in_use_is_seen(monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    assert any("CUDA" in sentence for sentence in purity.impurities((), secrets=True))


def test_the_environment_holds_nothing_of_the_instructors(monkeypatch):
    monkeypatch.setenv("API_TOKEN", "secret")
    assert "API_TOKEN" not in environment()
    assert set(environment()) <= allowed_variables()


def test_the_path_leaves_out_the_working_folder_but_keeps_what_pythonpath_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delenv("PYTHONPATH", raising=False)
    assert str(tmp_path) not in import_path()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert str(tmp_path) in import_path()


def _memory_holds(pid, marker):
    """Search all memory of a process that can be written."""
    folder = Path(f"/proc/{pid}")
    with (folder / "maps").open() as maps, (folder / "mem").open("rb", buffering=0) as memory:
        for line in maps:
            bounds, rights, *_ = line.split()
            first, last = (int(bound, 16) for bound in bounds.split("-"))
            if rights.startswith("rw"):
                memory.seek(first)
                try:
                    if marker in memory.read(last - first):
                        return True
                except OSError:
                    continue
    return False


def _until(condition, seconds=10):
    """What a fork's end is told on is closed a moment after it was told."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_the_tests_are_in_the_judges_memory_alone_and_the_courses_secret_in_neithers(engine, material, grade):
    grade()
    tests = b"assert second(4) == 8"
    assert _memory_holds(engine._judge.pid, tests)
    for pid in (engine._student.pid, engine._student._ancestor.pid):
        assert not _memory_holds(pid, tests)
    for pid in (engine._judge.pid, engine._student.pid, engine._student._ancestor.pid):
        assert not _memory_holds(pid, material.secret)


def test_the_zygotes_have_one_thread_and_a_clean_environment(engine, grade):
    grade()
    for pid in (engine._student.pid, engine._judge.pid, engine._student._ancestor.pid):
        process = psutil.Process(pid)
        assert process.num_threads() == 1
        assert set(process.environ()) <= allowed_variables()
        zygotes = 2 if pid == engine._student._ancestor.pid else 0  # on whose ends it is told of them
        files = 3 + 3 + zygotes  # the standard ones, its socket, its wake-up pipe
        _until(lambda pid=pid, files=files: len(list(Path(f"/proc/{pid}/fd").iterdir())) == files)
