"""The judge's process must see tests and secrets, so that it is in no sandbox; but it changes no files of others."""

import os
import socket
import sys
from pathlib import Path

import pytest
from studium_graders.engine.engine import Engine
from studium_graders.engine.sandbox import probe
from studium_graders.engine.sandbox.landlock import abi
from studium_graders.engine.sandbox.writing import write_nowhere_but

pytestmark = pytest.mark.skipif(sys.platform != "linux" or not abi(), reason="needs Landlock")

OUTSIDE = """
from pathlib import Path
{use}
Path({path!r}).write_text("written")
"""
INSIDE = """
import sqlite3, tempfile
from pathlib import Path
Path("note").write_text(str(first(1)))
assert Path("note").read_text() == "2"
with tempfile.NamedTemporaryFile("w+") as file:
    assert file.write("kept") == 4
with sqlite3.connect("own.db") as database:
    database.execute("create table if not exists t (x integer)")
"""


def outcome_in_a_child(attempt):
    """What an attempt ends with in a process that has given up all files but those of its working folder."""
    reading, writing = os.pipe()
    if not (child := os.fork()):
        try:
            write_nowhere_but(str(Path.cwd()))
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


def test_files_of_its_own_and_those_that_it_reads_are_there(outside):
    assert outcome_in_a_child(lambda: Path("new").write_text("three")) == "5"
    assert outcome_in_a_child(outside.read_text) == "as it was"


@pytest.mark.skipif(abi() < 4, reason="needs a Landlock that knows TCP")
def test_it_connects_to_nobody(outside):
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert outcome_in_a_child(lambda: socket.create_connection(server.getsockname())) == "PermissionError"


def test_a_test_writes_in_the_judges_folder_and_not_elsewhere(make_material, ancestor, outside):
    solutions = {name: f"def {name}(x):\n    return x + 1" for name in ("first", "second")}
    outward = OUTSIDE.format(use="assert second(1) == 2", path=str(outside))
    material = make_material(solutions, {"first": INSIDE, "second": outward})
    with Engine(material, probe().level, trust=True, ancestor=ancestor) as engine:
        (calibration,) = engine.calibrate().calibration.values()
    assert "test-first" not in calibration.one_process
    assert calibration.problems or "test-second" in calibration.one_process
    assert outside.read_text() == "as it was"
