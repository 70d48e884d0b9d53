"""Figures of the student's that tests make their code draw."""

from __future__ import annotations

import pytest

from .notebooks import answer, checked, material, submission
from .processes import calibrate, grade_forked

pytest.importorskip("matplotlib")

DRAWN = "import matplotlib.pyplot as plt\ndef draw(y):\n    plt.plot(y)\n    return len(plt.gca().lines)"
TEST = "assert draw([1, 2]) == 1"


def graded(shell, *tests):
    shell.run_cell("%matplotlib inline")
    notebook = material(answer(DRAWN), *tests)
    return grade_forked(shell, notebook, submission(notebook, DRAWN), calibrate(shell, notebook))


def test_a_test_begins_without_the_figures_of_the_one_before(shell):
    assert graded(shell, checked(TEST), checked(TEST)).points == [1, 1]


@pytest.mark.parametrize("hidden", [False, True])
def test_a_picture_that_a_test_made_stands_below_it_unless_it_is_hidden(shell, hidden):
    run = graded(shell, checked(TEST, hidden=hidden)).runs["test1"]
    assert [output["output_type"] for output in run.outputs] == ([] if hidden else ["display_data"])
