"""A test limits what the answer may allocate: the supervisor does it, and the student's code cannot undo it."""

import os
import subprocess
import sys

import pytest
from studium.catalogue.catalogue import load_catalogue
from studium.exercises.sources import solved, stub
from studium.exercises.sources import test_cell as written_test
from studium_graders.engine.material.assignment import Cell, Material, NotebookMaterial
from studium_graders.engine.sandbox import Level, probe
from studium_graders.engine.supervision.engine import Engine

from tests.children import child

from .conftest import handed_in

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel of Linux keeps the limit")

LEVELS = [level for level in Level if level <= probe().level]
TOPIC, NAME = "flash-attention", "flash_forward"
EXERCISE = load_catalogue()[TOPIC].exercises[NAME]
TILED = "makes no tensor larger than its inputs and a tile"
IMPORTS = "import math\nimport torch\n" + solved(load_catalogue()[TOPIC].exercises["online_update"])
WHOLE = """
def flash_forward(q, k, v, block_rows, block_columns, causal=False):
    {}
    s = q @ k.mT / math.sqrt(q.shape[1])
    if causal:
        s = s.masked_fill(torch.ones_like(s, dtype=torch.bool).triu(len(k) - len(q) + 1), -math.inf)
    return s.softmax(1).nan_to_num(0.0) @ v, s.logsumexp(1)
"""
TRIED = "import resource\n    try:\n        {}\n    except (OSError, ValueError):\n        pass"
RAISES = "resource.setrlimit(resource.RLIMIT_DATA, (1 << 40, 1 << 40))"
HARD = RAISES.replace("(1 << 40, 1 << 40)", "(resource.getrlimit(resource.RLIMIT_DATA)[1],) * 2")
BY_NUMBER = HARD.replace("resource.setrlimit(", "resource.prlimit(0, ")


def cells_of_topic():
    """The cells of the test with the meter, and of a test without one that comes after it."""
    chosen = [test for test in EXERCISE.tests if test.name == TILED]
    chosen += [test for test in EXERCISE.tests if test.name != TILED][:1]
    for number, test in enumerate(chosen):
        marks = {"graded": True, "locked": True, "topic": TOPIC, "exercise": NAME, "test": test.name}
        yield Cell(f"t{number}", "test", written_test(TOPIC, EXERCISE, test), f"t{number}", 1.0, **marks)


@pytest.fixture(
    scope="module",
    params=[pytest.param(one, id=one.label, marks=() if one is LEVELS[-1] else pytest.mark.heavy) for one in LEVELS],
)
def grade(request, ancestor):
    """grade(answer) → points and mode of the test with the meter and of the next one."""
    cells = Cell("imports", "given", IMPORTS), Cell(NAME, "answer", stub(EXERCISE), NAME, reference=solved(EXERCISE))
    book = NotebookMaterial("book", (*cells, *cells_of_topic()), b"{}")
    material = Material("ps1", (book,), secret=b"secret")
    with Engine(material, request.param, trust=True, ancestor=ancestor) as engine:
        assert engine.calibrate().calibration["book"].problems == ()

        def graded(answer):
            done = engine.grade(handed_in(material, "alice", {NAME: answer}))
            return [(test.points, test.mode) for test in done.tests]

        yield graded


def test_the_table_fails_what_needs_none_passes_and_afterwards_there_is_memory_again(grade):
    assert grade(solved(EXERCISE)) == [(1, "verified"), (1, "verified")]
    assert grade(WHOLE.format("pass")) == [(0, "verified"), (1, "verified")]


@pytest.mark.parametrize(
    "undone",
    [
        pytest.param(RAISES, id="raises", marks=pytest.mark.heavy),
        pytest.param(HARD, id="to the hard limit"),
        pytest.param(BY_NUMBER, id="prlimit", marks=pytest.mark.heavy),
    ],
)
def test_an_answer_cannot_undo_the_limit(grade, request, undone):
    if request.node.callspec.params["grade"] < Level.L1:
        pytest.skip("below L1 it can")
    assert grade(WHOLE.format(TRIED.format(undone))) == [(0, "verified"), (1, "verified")]


HELD_BACK = """
import os, resource, sys
from studium_graders.engine.sandbox.resource_limits import limit_data_of
from studium_graders.engine.sandbox.system_calls import keep_capabilities
keep_capabilities(0b11100001)  # of the owners of files, users and groups, as a container's root has them
pid = int(sys.argv[1])
before = resource.getrlimit(resource.RLIMIT_DATA)
limit_data_of([pid], 64)
print(open(f"/proc/{pid}/limits").read())
limit_data_of([pid], None)
print(open(f"/proc/{pid}/limits").read())
assert os.getresuid() == (0, 0, 0) == os.getresgid()
"""


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can be another user")
def test_root_of_a_container_that_may_not_set_limits_of_others_can_limit_a_student():
    with child(["/bin/sleep", "600"], user=60001, group=60001, extra_groups=[]) as other:
        command = [sys.executable, "-c", HELD_BACK, str(other.pid)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    lowered, restored = [line.split()[-3:-1] for line in done.stdout.splitlines() if line.startswith("Max data size")]
    assert lowered[0] != lowered[1]
    assert restored[0] == restored[1]
