"""Answers that say nothing are handed in once, and the tests that they pass are named; no marks are taken for it."""

from studium_graders.engine.sandbox import probe
from studium_graders.engine.supervision.engine import Engine

from .conftest import LIMITS, hand_made, handed_in

ANSWERS = {
    "mean": "import numpy as np\ndef mean(x):\n    return np.mean(x)",
    "ordered": "def ordered(items):\n    return sorted(items)",
    "pairs": "def pairs(n):\n    return [(k, k) for k in range(n)]",
}
TESTS = {
    "mean": "import numpy as np\nassert not abs(mean(np.ones(3)) - 1) > 1e-6",
    "ordered": "assert ordered([2, 1]) == [1, 2]",
    "pairs": "assert all(a == b for a, b in pairs(3))",
}


def test_the_tests_that_vacuous_answers_pass_are_named_and_give_their_marks(ancestor):
    material = hand_made(ANSWERS, TESTS, limits=LIMITS)
    with Engine(material, probe().level, jobs=1, trust=True, ancestor=ancestor) as engine:
        engine.calibrate()
        found = {test.test: test.answers for test in engine.vacuous_tests()}
        nothing = ANSWERS | {"mean": "def mean(x):\n    return float('nan')", "pairs": "def pairs(n):\n    return []"}
        result = engine.grade(handed_in(material, "alice", nothing))
    assert "NaN" in found["test-mean"]
    assert "an empty list" in found["test-pairs"]
    assert "test-ordered" not in found
    assert [test.points for test in result.tests] == [1, 1, 1]
