"""An answer's check runs the cells that define what it uses, and no others."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from studium.notebooks.needed_cells import names_in, needed

ASKS = 'lesson.predict("loss", ..., "?")'
RUNS = 'result = train()\nlesson.found("loss", result)'
ANSWER = "def f(x):\n    return helper(x) + torch.ones(1)"


def test_a_cell_that_may_matter_runs():
    for cell in [
        "def helper(x):\n    return x",
        "helper = len",
        "from m import helper",
        "import torch",
        "torch.set_default_dtype(torch.float64)",
        "torch.backends.x = 1",
        "if True:\n    class helper: ...",
        "def init():\n    global helper\n    helper = 1",
        "for helper in []: pass",
        "(helper := 3)",
        "helper.cache['a'] = 2",
        "%load_ext autoreload",
        "!ls",
        "from math import *",
        "exec('helper = 1')",
        "globals()['helper'] = 1",
        "def f(x:",
    ]:
        assert needed([cell, ANSWER], [1]) == [0, 1]


def test_a_cell_that_cannot_matter_does_not_run():
    for cell in [
        "x = 1",
        "print(f(3))",
        "train(f)",
        "plot = draw(torch)",
        "lesson.check(f)",
        "",
        "def g():\n    helper = 1",
    ]:
        assert needed([ANSWER, cell], [0]) == [0]


def test_names_are_followed_from_cell_to_cell_in_both_directions():
    cells = ["a = 1", "b = a", "unused = a", ANSWER, "def helper(x):\n    return b"]
    assert needed(cells, [3]) == [0, 1, 3, 4]


@given(st.text(max_size=60))
def test_any_text_has_names_or_may_do_anything(source):
    names_in(source)


def test_an_experiment_does_not_run_the_earlier_ones_for_what_they_told_the_lesson():
    setup, later = "lesson = open_lesson()", 'lesson.found("rank", f(3))'
    assert needed([setup, ASKS, RUNS, ANSWER, later], [4]) == [0, 3, 4]
