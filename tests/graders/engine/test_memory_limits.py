"""A test limits what the answer may allocate: the supervisor does it, and the student's code cannot undo it."""

import os
import subprocess
import sys

import pytest
from studium_graders.engine.sandbox import Level, probe
from studium_graders.engine.supervision.engine import Engine

from .conftest import hand_made, handed_in

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel of Linux keeps the limit")

LEVELS = [level for level in Level if level <= probe().level]
BY_ROW = "def table(n):\n    return sum(float(torch.ones(n).sum()) for _ in range(n))"
WHOLE = "def table(n):\n    return float(torch.ones(n, n).sum())"
RAISES = """import resource
def table(n):
    resource.setrlimit(resource.RLIMIT_DATA, (1 << 40, 1 << 40))
    return float(torch.ones(n, n).sum())"""
HARD = RAISES.replace("(1 << 40, 1 << 40)", "(resource.getrlimit(resource.RLIMIT_DATA)[1],) * 2")
BY_NUMBER = HARD.replace("resource.setrlimit(", "resource.prlimit(0, ")
AFTERWARDS = "def again(n):\n    return float(torch.ones(n, n).sum())"
TESTS = {
    "table": "from studium import at_most_mb\nwith at_most_mb(32):\n    found = table(4000)\nassert found == 4000**2",
    "again": "assert again(4000) == 4000**2",
}


@pytest.fixture(scope="module", params=LEVELS, ids=lambda level: level.label)
def grade(request, ancestor):
    material = hand_made({"table": BY_ROW, "again": AFTERWARDS}, TESTS)
    with Engine(material, request.param, trust=True, ancestor=ancestor) as engine:
        engine.calibrate()

        def graded(answer):
            submission = handed_in(material, "alice", {"table": answer, "again": AFTERWARDS})
            return [(test.points, test.mode) for test in engine.grade(submission).notebooks[0].tests]

        yield graded


def test_the_table_fails_what_needs_none_passes_and_afterwards_there_is_memory_again(grade):
    assert grade(BY_ROW) == [(1, "verified"), (1, "verified")]
    assert grade(WHOLE) == [(0, "verified"), (1, "verified")]


@pytest.mark.parametrize("answer", [RAISES, HARD, BY_NUMBER], ids=["raises", "to the hard limit", "prlimit"])
@pytest.mark.parametrize("level", [level for level in LEVELS if level >= Level.L1], ids=lambda level: level.label)
def test_an_answer_cannot_undo_the_limit(level, answer, ancestor):
    material = hand_made({"table": BY_ROW}, {"table": TESTS["table"]})
    with Engine(material, level, trust=True, ancestor=ancestor) as engine:
        engine.calibrate()
        (test,) = engine.grade(handed_in(material, "alice", {"table": answer})).notebooks[0].tests
    assert test.points == 0


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
    with subprocess.Popen(["/bin/sleep", "60"], user=60001, group=60001, extra_groups=[]) as other:
        try:
            done = subprocess.run(
                [sys.executable, "-c", HELD_BACK, str(other.pid)], capture_output=True, text=True, check=False
            )
        finally:
            other.kill()
    assert done.returncode == 0, done.stderr
    lowered, restored = [line.split()[-3:-1] for line in done.stdout.splitlines() if line.startswith("Max data size")]
    assert lowered[0] != lowered[1]
    assert restored[0] == restored[1]
