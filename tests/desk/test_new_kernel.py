"""In a new kernel a cell first gets what it needs from the cells above, once, and no more than that."""

from __future__ import annotations

import json

import pytest
from IPython.core.interactiveshell import InteractiveShell
from studium.notebooks.new_kernel import LINE, catch_up, missing_cells

SETUP = "import math\nlesson = object()"
ANSWER = "def area(r):\n    return math.pi * r**2"
CHECK = "checked = (lesson, area(1))"


@pytest.fixture
def shell():
    shell = InteractiveShell.instance()
    before = dict(shell.user_ns)
    yield shell
    shell.user_ns.clear()
    shell.user_ns.update(before)


def test_a_check_gets_the_set_up_and_the_answer_and_says_so_once(shell, capsys):
    cells = json.dumps([["setup", SETUP], ["code", "print('a figure')"], ["exercise", ANSWER], ["check", CHECK]])
    catch_up(shell, cells)
    assert capsys.readouterr().out.strip() == LINE
    shell.run_cell(CHECK)
    assert shell.user_ns["checked"][1] == pytest.approx(3.14159, abs=1e-5)
    catch_up(shell, cells)
    assert capsys.readouterr().out == ""


def test_what_is_known_is_not_run_again_and_what_is_not_needed_never():
    cells = [("setup", SETUP), ("code", "other = 1"), ("exercise", ANSWER), ("check", CHECK)]
    assert missing_cells(cells, set()) == [0, 2]
    assert missing_cells(cells, {"math", "lesson"}) == [2]
    assert missing_cells(cells, {"math", "lesson", "area"}) == []
    assert missing_cells([("setup", SETUP), ("exercise", "def two():\n    return 2")], set()) == [0]


def test_an_answer_that_cannot_be_read_yet_is_not_run_for_another_cell():
    assert missing_cells([("setup", SETUP), ("exercise", "def area(r:"), ("", "!ls"), ("check", CHECK)], set()) == [0]


def test_a_cell_that_fails_is_left_to_the_one_that_needs_it(shell, capsys):
    catch_up(shell, json.dumps([["", "import no_such_package"], ["check", "no_such_package.x"]]))
    assert capsys.readouterr().out.strip() == LINE
