"""The judge's process must see tests and secrets, so that it is in no sandbox; but it reaches no files of others."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from studium_graders.engine.sandbox.landlock import abi
from studium_graders.engine.sandbox.reach import confine, rules_of_tests

pytestmark = pytest.mark.skipif(sys.platform != "linux" or not abi(), reason="needs Landlock")


def outcome_in_a_child(attempt, *, hidden=(), programs=False):
    """What an attempt ends with in a process that has given up all files but those of its working folder."""
    reading, writing = os.pipe()
    if not (child := os.fork()):
        try:
            confine(str(Path.cwd()), rules_of_tests([], hidden, programs=programs), programs=programs)
            said = str(attempt())
        except OSError as error:
            said = type(error).__name__
        os.write(writing, said.encode())
        os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading, encoding="utf-8") as told:
        return told.read()


@pytest.fixture
def outside(tmp_path, monkeypatch):
    """A file beside the working folder."""
    (tmp_path / "own").mkdir()
    monkeypatch.chdir(tmp_path / "own")
    file = tmp_path / "file"
    file.write_text("as it was")
    return file


@pytest.mark.parametrize(
    "attempt",
    [
        lambda file: file.write_text("changed"),
        lambda file: file.unlink(),
        lambda file: file.rename("mine"),
        lambda file: os.truncate(file, 0),
        lambda file: file.with_name("another").touch(),
        lambda file: file.with_name("folder").mkdir(),
    ],
)
def test_files_of_others_stay_as_they_are(outside, attempt):
    assert outcome_in_a_child(lambda: attempt(outside)) in ("PermissionError", "OSError")
    assert outside.read_text() == "as it was"
    assert {path.name for path in outside.parent.iterdir()} == {"file", "own"}


def test_files_of_its_own_and_those_of_python_are_there(outside):
    assert outcome_in_a_child(lambda: Path("new").write_text("three")) == "5"
    assert outcome_in_a_child(lambda: "import" in Path(pytest.__file__).read_text()) == "True"
    assert outcome_in_a_child(lambda: Path("/proc/self/cmdline").read_bytes() != b"") == "True"


@pytest.mark.parametrize("path", ["/etc/passwd", "/proc/{pid}/environ", "/root", "/home"])
def test_files_of_others_are_not_seen(outside, path):
    path = path.format(pid=os.getpid())
    assert outcome_in_a_child(outside.read_text) == "PermissionError"
    assert outcome_in_a_child(
        lambda: list(Path(path).iterdir()) if Path(path).is_dir() else Path(path).read_bytes()
    ) == ("PermissionError")


def test_what_is_hidden_is_not_seen_though_modules_lie_beside_it(outside, monkeypatch):
    beside = outside.parent / "course_module.py"
    beside.write_text("x = 1")
    monkeypatch.syspath_prepend(str(outside.parent))
    assert outcome_in_a_child(outside.read_text) == "as it was"
    assert outcome_in_a_child(outside.read_text, hidden=[str(outside)]) == "PermissionError"
    assert outcome_in_a_child(lambda: __import__("course_module").x, hidden=[str(outside)]) == "1"


def test_it_starts_no_programs_but_where_a_compiler_is_needed(outside):
    started = lambda: subprocess.run([sys.executable, "-S", "-c", ""], check=False).returncode  # noqa: E731
    assert outcome_in_a_child(started) == "PermissionError"
    assert outcome_in_a_child(started, programs=True) == "0"


@pytest.mark.skipif(abi() < 4, reason="needs a Landlock that knows TCP")
def test_it_connects_to_nobody(outside):
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert outcome_in_a_child(lambda: socket.create_connection(server.getsockname())) == "PermissionError"
