"""A run of the tests hangs on nothing and leaves nothing: its children end, it ends, and what stays is named."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests import whole_run
from tests.children import child

ROOT = Path(__file__).parents[1]
STUBBORN = "import os, signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); os.fork(); os.write(1, b'up\\n')"
STUBBORN += "; import time; time.sleep(600)"
HANGS = f"""
import pathlib, sys, time
import pytest
from tests import children
children.GRACE = 0.2

@pytest.mark.timeout(3)
def test_that_hangs():
    with children.child([sys.executable, "-c", {STUBBORN!r}], stdout=-1) as process:
        pathlib.Path("group").write_text(str(process.pid))
        for _ in process.stdout:
            pass

def test_after_it():
    pathlib.Path("after").touch()
"""
LEAVES = """
import subprocess, sys, tempfile
def test_that_leaves_much():
    subprocess.Popen(["sleep", "600"], start_new_session=True)
    tempfile.mkdtemp(prefix="forgotten-")
"""
TIDY = "def test_that_leaves_nothing(tmp_path):\n    (tmp_path / 'file').touch()\n"
SLEEPS = "import time\ndef test_that_sleeps():\n    time.sleep(600)\n"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., subprocess.CompletedProcess[str]]:
    """run(text, "-n", "1", STUDIUM_TEST_RUN_MINUTES="1"): a run of its own of a file of tests."""
    monkeypatch.delenv(whole_run.MARK)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")

    def run_tests(text: str, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "test_it.py").write_text(text)
        command = [sys.executable, "-m", "pytest", "-p", "xdist", "-p", "pytest_timeout", "-p", "tests.whole_run"]
        alone = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(ROOT)} | environment
        return subprocess.run(
            [*command, *options], cwd=tmp_path, env=alone, capture_output=True, text=True, check=False, timeout=120
        )

    return run_tests


def gone(group: int) -> bool:
    """Whether a process group has no living member, at the latest in a few seconds: what is killed takes a moment."""
    for _ in range(200):
        if not any(_in_group(one, group) for one in psutil.process_iter()):
            return True
        time.sleep(0.05)
    return False


def _in_group(process: psutil.Process, group: int) -> bool:
    try:
        return os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE
    except (ProcessLookupError, psutil.Error):
        return False


def test_a_child_that_ignores_sigterm_ends_with_its_group_when_the_block_ends(monkeypatch):
    monkeypatch.setattr("tests.children.GRACE", 0.2)
    with child([sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE) as process:
        assert [process.stdout.readline() for _ in range(2)] == ["up\n", "up\n"]
    assert gone(process.pid)


def test_a_child_has_the_signals_of_a_terminal_also_where_the_tests_ignore_them():
    ask = "import signal; print(signal.getsignal(signal.SIGINT) is signal.default_int_handler, end=' ')"
    ask += "; print(signal.getsignal(signal.SIGHUP) is signal.SIG_DFL)"
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGHUP)}
    try:
        with child([sys.executable, "-c", ask], stdout=subprocess.PIPE) as process:
            assert process.communicate(timeout=60)[0] == "True True\n"
        assert all(signal.getsignal(number) is signal.SIG_IGN for number in before)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_the_time_limit_of_a_test_ends_its_children_and_the_run_goes_on(run, tmp_path):
    done = run(HANGS, "-n", "1")
    assert "1 failed, 1 passed" in done.stdout
    assert (tmp_path / "after").exists()
    assert gone(int((tmp_path / "group").read_text()))


@pytest.mark.sample(1)
@pytest.mark.parametrize("workers", [(), ("-n", "1")])
def test_a_run_that_leaves_a_process_and_a_folder_fails_and_names_both(run, workers):
    done = run(LEAVES, *workers)
    assert (done.returncode, "1 passed" in done.stdout) == (1, True)
    left = [line for line in done.stdout.splitlines() if line.startswith("left behind by the tests")]
    assert ["sleep 600" in left[0], "forgotten-" in left[1], len(left)] == [True, True, 2]


def test_a_run_that_leaves_nothing_passes(run):
    done = run(TIDY)
    assert (done.returncode, "left behind" in done.stdout) == (0, False)


@pytest.mark.sample(1)
@pytest.mark.parametrize("workers", [(), ("-n", "1")])
def test_a_run_beyond_its_limit_is_ended_and_says_which_tests_were_running(run, workers):
    done = run(SLEEPS, *workers, STUDIUM_TEST_RUN_MINUTES="0.07")
    assert done.returncode == 2
    assert "the run takes longer than 0.07 minutes and is ended; these tests were running:" in done.stdout
    assert "test_it.py::test_that_sleeps, for " in done.stdout


def test_a_mount_that_a_run_adds_is_seen(monkeypatch):
    before = whole_run._mounts()
    assert before
    monkeypatch.setattr(Path, "read_text", lambda self, *_: "36 35 98:0 / /somewhere rw - tmpfs none rw\n")
    assert whole_run._mounts() - before == {"mount /somewhere"}
