"""Containers of a test's that hold their items in another one, and arrays whose description an answer sets."""

from __future__ import annotations

import pytest

from .notebooks import answer, checked, given, material, submission
from .processes import calibrate, grade_forked

IMPORTS = given("import numpy as np\nfrom collections import UserDict, UserList", locked=True)
SUM = "def total(items):\n    return sum(items)"


def graded(shell, reference, text, test):
    notebook = material(IMPORTS, answer(reference), checked(test))
    calibration = calibrate(shell, notebook)
    assert calibration.known
    return grade_forked(shell, notebook, submission(notebook, text), calibration).only


def earned(shell, reference, text, test):
    result = graded(shell, reference, text, test)
    assert result.mode == "split"
    return result.points


@pytest.mark.parametrize(
    "change", ["items.clear()", "del items[:]", "items[:] = []", "items *= 0", "items.data.clear()"]
)
def test_items_that_an_answer_takes_away_from_a_list_of_the_tests_are_no_sum(shell, change):
    test = "items = UserList([1, 2])\nassert total(items) == sum(items)"
    assert graded(shell, SUM, f"def total(items):\n    {change}\n    return 0", test).points == 0
    assert earned(shell, SUM, "def total(items):\n    return sum(list(items))", test) == 1


@pytest.mark.parametrize("change", ["items.clear()", "items.pop('a')", "del items['a']", "items['a'] = 0"])
def test_so_it_is_with_a_dictionary(shell, change):
    reference = "def total(items):\n    return sum(items.values())"
    test = "items = UserDict(a=1)\nassert total(items) == sum(items.values())"
    assert graded(shell, reference, f"def total(items):\n    {change}\n    return 0", test).points == 0
    assert earned(shell, reference, "def total(items):\n    return sum(items[key] for key in items)", test) == 1


POP = "def total(items):\n    found = 0\n    while len(items):\n        found += items.pop()\n    return found"


@pytest.mark.parametrize("again", ["", "\nassert total(items) == 3"])
def test_an_answer_may_use_up_a_list_that_nobody_asks_for_afterwards(shell, again):
    test = f"items = UserList([1, 2])\nassert total(items) == 3{again}"
    assert earned(shell, SUM, POP, test) == (not again)


@pytest.mark.parametrize("add", ["items.append(2)", "items += [2]", "items.insert(1, 2)", "items[1:] = [2]"])
def test_an_answer_changes_such_a_list_as_it_likes_where_the_reference_does(shell, add):
    reference = "def add(items):\n    items.append(2)"
    test = "items = UserList([1])\nadd(items)\nassert items == [1, 2]"
    assert earned(shell, reference, f"def add(items):\n    {add}", test) == 1
    assert earned(shell, reference, "def add(items):\n    pass", test) == 0


@pytest.mark.parametrize(
    "add", ["items['b'] = 2", "items |= {'b': 2}", "items.update(b=2)", "items.setdefault('b', 2)"]
)
def test_and_such_a_dictionary(shell, add):
    reference = "def add(items):\n    items['b'] = 2"
    test = "items = UserDict(a=1)\nadd(items)\nassert items == {'a': 1, 'b': 2}"
    assert earned(shell, reference, f"def add(items):\n    {add}", test) == 1
    assert earned(shell, reference, "def add(items):\n    pass", test) == 0


MEAN = "def mean(array):\n    return array.mean()"
DESCRIBED = {
    "numbers": "array.dtype = np.int64",
    "smaller ones": "array.dtype = np.int32",
    "fields": "array.dtype = [('x', float)]",
    "texts": "array.dtype = 'S8'",
    "sizes": "array.shape = 2, 2",
    "steps": "array.strides = (0,)",
}


@pytest.mark.parametrize("name", DESCRIBED)
def test_an_array_that_an_answer_describes_otherwise_is_changed_and_the_connection_stays(shell, name):
    text = f"def mean(array):\n    found = array.mean()\n    {DESCRIBED[name]}\n    return found"
    test = "array = np.arange(4.0)\nassert mean(array) == 1.5"
    assert earned(shell, MEAN, text, test) == 1
    assert earned(shell, MEAN, text, f"{test}\nassert array.shape == (4,) and (array == np.arange(4.0)).all()") == 0


def test_an_answer_may_describe_it_otherwise_where_the_reference_does(shell):
    reference = "def bits(array):\n    array.dtype = np.int64"
    test = "array = np.ones(3)\nbits(array)\nassert array.dtype == np.int64 and array[0] == 0x3FF << 52"
    assert earned(shell, reference, "def bits(array):\n    array.dtype = 'i8'", test) == 1
    assert earned(shell, reference, "def bits(array):\n    pass", test) == 0
