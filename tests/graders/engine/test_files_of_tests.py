"""Files of tests: they are in the folder of the answers, which each submission has for itself."""

import sys
from contextlib import ExitStack

import pytest
from studium_graders.engine.sandbox import Level, probe
from studium_graders.engine.sandbox.landlock import abi
from studium_graders.engine.supervision.engine import Engine

from .conftest import hand_made, handed_in

pytestmark = pytest.mark.skipif(sys.platform != "linux" or not abi(), reason="needs Landlock")
SOLUTIONS = {name: f"def {name}(x):\n    return x + 1" for name in ("first", "second")}
TESTS = {name: f"assert {name}(1) == 2" for name in SOLUTIONS}
INSIDE = """
import sqlite3
import numpy as np
np.arange(4.0).tofile("note")
assert np.fromfile("note").size == 2 * first(1)
with sqlite3.connect("own.db") as database:
    database.execute("create table if not exists t (x integer)")
"""
OUTSIDE = """
import numpy as np
assert second(1) == 2
np.arange(4.0).tofile({path!r})
"""
LIBRARIES = """
import colorsys, zoneinfo
import scipy.stats, torch
assert zoneinfo.ZoneInfo("Europe/Berlin").key and scipy.stats.norm(0).mean() == 0
assert torch.ones(first(1)).sum() == 2
"""


@pytest.fixture
def outside(tmp_path):
    """A file that is nobody's business."""
    file = tmp_path / "file"
    file.write_text("as it was")
    return file


@pytest.fixture
def graded(ancestor):
    """graded(tests, {}, {"first": "def first…"}) → by submission, points and mode of each test."""
    with ExitStack() as stack:

        def grade(tests, *submissions, solutions={}, **more):  # noqa: B006
            material = hand_made(SOLUTIONS | solutions, TESTS | tests, **more)
            engine = stack.enter_context(Engine(material, probe().level, trust=True, ancestor=ancestor))
            engine.calibrate()
            done = [engine.grade(handed_in(material, "alice", SOLUTIONS | answers)) for answers in submissions]
            return [{test.grade_id[5:]: (test.points, test.mode) for test in one.notebooks[0].tests} for one in done]

        yield grade


def test_a_test_writes_in_the_working_folder_and_not_elsewhere(graded, outside):
    (found,) = graded({"first": INSIDE, "second": OUTSIDE.format(path=str(outside))}, {})
    assert found == {"first": (1, "unverified"), "second": (0, "unverified")}
    assert outside.read_text() == "as it was"


def test_what_one_submission_has_a_test_write_no_other_gets(graded):
    tests = {"first": "import os\nopen('note', 'a').write(str(first(1)))\nassert open('note').read() == '2'"}
    assert [found["first"] for found in graded(tests, {}, {"second": "pass"})] == [(1, "unverified")] * 2


def test_libraries_work_and_other_files_are_not_there(graded, outside):
    path = "from pathlib import Path\nwith Path(str(second(1))).open() as file:\n    assert file.read()"
    (found,) = graded(
        {"first": LIBRARIES, "second": path},
        {"second": f"def second(x):\n    return {str(outside)!r}"},
        files={"2": b"x"},
    )
    assert found == {"first": (1, "unverified"), "second": (0, "unverified")}


SAVED = """
import json, os, tempfile
with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "x.json")
    assert first(path) == os.path.join(folder, "y.json") and json.load(open(first(path))) == [1]
first("x.json")
assert sorted(os.listdir()) == ["a", "x.json", "y.json"] and open("a/b").read() == "handed out"
"""
SAVES = """
import json
def first(path):
    for name in (path, path.replace("x.json", "y.json")):
        with open(name, "w") as file:
            json.dump([1], file)
    return name
"""
PRETENDS = "import json, os\njson.load = lambda _: [1]\ndef first(path):\n    return path.replace('x.json', 'y.json')"


@pytest.mark.parametrize(
    "level", [pytest.param(Level.SELF_CHECK, marks=pytest.mark.heavy), Level.L0, Level.L1, Level.L2]
)
def test_a_test_of_files_finds_those_of_the_answer_at_each_level(ancestor, level):
    if level > probe().level:
        pytest.skip(f"this machine has no {level.label}")
    material = hand_made(SOLUTIONS | {"first": SAVES}, TESTS | {"first": SAVED}, files={"a/b": b"handed out"})
    with Engine(material, level, trust=True, ancestor=ancestor) as engine:
        engine.calibrate()
        for text, points in ((SAVES, 1), (PRETENDS, 0)):
            result = engine.grade(handed_in(material, "alice", SOLUTIONS | {"first": text}))
            test = next(test for test in result.notebooks[0].tests if test.grade_id.endswith("first"))
            assert (test.points, test.mode) == (points, "unverified"), test.message


def test_a_module_that_was_handed_out_is_imported_from_the_folder(graded):
    tests = {"first": "import os, sys\nsys.path.insert(0, os.getcwd())\nimport own\nassert own.right + 1 == first(1)"}
    (found,) = graded(tests, {}, files={"own.py": b"right = 1"})
    assert found["first"] == (1, "unverified")
