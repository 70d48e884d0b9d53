from __future__ import annotations

import pytest
from studium_graders.engine.judge.ownership import owned_by_student, unbound

from .notebooks import answer, checked, given, material


def owned(*cells):
    return owned_by_student(material(*cells).cells)


def test_the_student_owns_what_stub_or_reference_binds():
    cell = answer("import numpy as np\ndef f(): ...\nx, (y, *z) = 1, (2, 3)\nclass C: pass", stub="def g(): pass")
    assert owned(cell) == {"f", "g", "x", "y", "z", "C"}


def test_globals_that_a_function_of_the_reference_binds_are_owned():
    assert owned(answer("def f():\n    global count\n    count = 1")) == {"f", "count"}


def test_imports_and_given_helpers_are_not_owned():
    cells = [given("def near(a, b): return abs(a - b) < 1"), answer("import math\nr = 1"), checked("assert near(r, 1)")]
    assert owned(*cells) == {"r"}


@pytest.mark.parametrize(
    "change", ["data.sort()", "data[0] = 1", "data += [1]", "import random\nrandom.shuffle(data)", "data.x.y = 2"]
)
def test_a_given_object_that_the_reference_changes_is_owned(change):
    assert "data" in owned(given("data = [1, 2]"), answer(change))


@pytest.mark.parametrize("use", ["y = sorted(data)", "def f(data):\n    data.sort()", "print(data)", "plt.plot(data)"])
def test_a_given_object_that_the_reference_only_uses_is_not(use):
    assert "data" not in owned(given("data = [1, 2]"), answer(use))


def test_placeholders_in_unlocked_cells_are_owned_and_whole_things_are_not():
    source = "x = None\nrate = 0.1\ndef f(a):\n    '''Doc.'''\n    pass\ndef g(): return 1\nclass E(Exception): pass"
    assert owned(given(source)) == {"x", "f"}
    assert owned(given(source, locked=True)) == set()


def test_what_tests_read_and_nothing_binds_is_owned():
    assert owned(answer(""), checked("kept = f\ndel f\nassert g(1)\nf = kept")) == {"f", "g"}


def test_what_a_loop_of_a_test_binds_and_reads_is_not():
    assert owned(checked("for i in range(3):\n    loss = f(i)\n    assert loss")) == {"f"}


def test_a_name_that_an_earlier_test_binds_is_not():
    assert owned(checked("def near(a): return a"), checked("assert near(1)")) == set()


def test_a_library_under_its_usual_name_is_the_library():
    cells = material(answer(""), checked("np.testing.assert_equal(x, 1)")).cells
    assert owned_by_student(cells) == {"x"}
    assert unbound(cells) == {"np", "x"}


def test_star_imports_bind_what_the_module_says():
    assert owned(given("from math import *"), checked("assert sqrt(x) == pi")) == {"x"}


def test_given_classes_that_the_reference_mentions_are_owned_but_plain_data_is_not():
    shapes = "from dataclasses import dataclass\nclass Node: pass\nclass Other: pass\n@dataclass\nclass P:\n    x: int"
    assert owned(given(shapes), answer("def f():\n    return Node(), P(1)")) == {"f", "Node"}
