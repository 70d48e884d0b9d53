"""Answers without a name are grouped by what was said to be true of them, and the group says it."""

import pytest

pytest.importorskip("sklearn")

from studium_graders.engine.material import results
from studium_graders.report.class_data import Answer, ClassData, Exercise, Item
from studium_graders.report.clusters import cluster_unnamed

SAID = "Yours is the negative of the right result.", "Your result is transposed."
TURNED = (
    "def turn(x):\n    y = -x\n    return y * 2 + len(x)\n",
    "def turn(values):\n    total = sum(values)\n    return [total / value for value in values]\n",
)


def answer(source: str, said: str) -> Answer:
    """An answer that fails the one test, which is hidden and so has no message of its own."""
    return Answer(
        source, {"t": results.TestResult("turn", "turns", 0, 1, "failed", grade_id="t", hidden=True, said=said)}
    )


def test_answers_of_which_different_things_are_true_are_different_groups_and_each_says_what_is_true():
    exercise = Exercise("book", "turn", (Item("t", "turns", 1, hidden=True),))
    answers = {f"{number}-{one}": (answer(TURNED[one], SAID[one]),) for one in (0, 1) for number in range(3)}
    groups = cluster_unnamed(ClassData("ps1", (exercise,), answers))[0].clusters
    assert sorted((group.said, len(group.students)) for group in groups) == sorted(((said,), 3) for said in SAID)
