"""Instances of given classes hold what the class does not say: an answer sets no tolerance of the class's own."""

from __future__ import annotations

import sys
import types

import pytest

from .notebooks import answer, checked, given, material, submission
from .processes import calibrate, grade_forked

GIVEN = """
class Vec:
    near = 1e-9
    label = ""
    def __init__(self, x): self.x = x
    def __eq__(self, other): return abs(self.x - other.x) < self.near
    def named(self): return self.label or "none"
"""
TWICE = "def twice(v):\n    found = Vec(2 * v.x)\n    found.label = 'twice'\n    return found\n"
TEST = "found = twice(Vec(3))\nassert found == Vec(6) and found.named() == 'twice'"


def points(shell, text):
    notebook = material(given(GIVEN), answer(TWICE), checked(TEST))
    return grade_forked(shell, notebook, submission(notebook, text), calibrate(shell, notebook)).only.points


@pytest.mark.parametrize("right", [True, False])
def test_what_the_references_instances_leave_to_the_class_counts_as_the_class_has_it(shell, right):
    value = 6 if right else 7
    text = f"def twice(v):\n    v = Vec({value})\n    v.near, v.label = 1e9, 'twice'\n    return v\n"
    assert points(shell, text) == right


def test_what_they_hold_themselves_an_answer_may_set(shell):
    assert points(shell, TWICE.replace("found", "made")) == 1


HANDED_OUT = """
class Item:
    def __init__(self, fragile):
        self.fragile, self.broken, self.weights = fragile, False, [1]

def check(shake):
    item = Item(True)
    shake(item)
    assert item.broken and item.weights == [1, 2]
"""


@pytest.mark.parametrize(
    ("text", "points"),
    [
        ("def shake(item):\n    item.broken = item.fragile\n    item.weights.append(2)", 1),
        ("def shake(item):\n    if item.fragile:\n        item.broken = True\n    item.weights = [1, 2]", 1),
        ("def shake(item):\n    broken = True\n    item.weights.append(2)", 0),
        ("def shake(item):\n    item.__class__.broken = True\n    item.weights.append(2)", 0),
    ],
)
def test_an_answer_changes_an_object_of_a_class_that_was_handed_out(shell, monkeypatch, text, points):
    module = types.ModuleType("handed_out_with_classes")
    exec(HANDED_OUT, vars(module))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    right = "def shake(item):\n    item.broken = item.fragile\n    item.weights.append(2)"
    notebook = material(answer(right), checked("from handed_out_with_classes import check\ncheck(shake)"))
    result = grade_forked(shell, notebook, submission(notebook, text), calibrate(shell, notebook)).only
    assert (result.points, result.mode) == (points, "verified")


FRUIT = """
from dataclasses import dataclass

class Fruit:
    def __init__(self, price, pieces=1):
        self.price, self.pieces = price, pieces
    def total(self):
        return self.price * self.pieces

@dataclass
class Bag:
    fruits: int

def check(fruit):
    assert isinstance(fruit, Fruit) and fruit.total() == 6
"""


@pytest.mark.parametrize(
    "test",
    [
        "from handed_out_fruits import check\ncheck(pears)",
        "assert isinstance(pears, Fruit) and pears.price == 3",
        "from handed_out_fruits import Fruit\nassert isinstance(pears, Fruit) and pears.total() == 6",
        "from handed_out_fruits import Fruit\nassert type(pears) == Fruit and pears.total() == 6",
        "from handed_out_fruits import Fruit\nassert Fruit in [type(item) for item in [pears]] and pears.total() == 6",
        "from handed_out_fruits import Fruit\nassert {Fruit: 6}[type(pears)] == pears.total()",
        "assert Bag(2) == bag and isinstance(bag, Bag) and pears.total() == 6",
    ],
)
@pytest.mark.parametrize(
    ("made", "points"), [("Fruit(3, 2), Bag(2)", 1), ("Fruit(2), Bag(1)", 0), ("{'price': 3}, 2", 0)]
)
def test_an_object_that_an_answer_makes_of_a_class_that_was_handed_out_is_one_of_it(
    shell, monkeypatch, test, made, points
):
    module = types.ModuleType("handed_out_fruits")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(FRUIT, vars(module))
    begin = "from handed_out_fruits import Bag, Fruit\npears, bag = "
    notebook = material(answer(f"{begin}Fruit(3, 2), Bag(2)"), checked(test))
    result = grade_forked(shell, notebook, submission(notebook, begin + made), calibrate(shell, notebook)).only
    assert (result.points, result.mode) == (points, "verified")


@pytest.mark.parametrize(("made", "points"), [("Fruit(3, 2)", 1), ("Apple(3, 2)", 0)])
def test_an_object_of_a_class_that_extends_one_that_was_handed_out_is_of_another_type(shell, monkeypatch, made, points):
    module = types.ModuleType("handed_out_fruits")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(FRUIT, vars(module))
    begin = "from handed_out_fruits import Fruit\nclass Apple(Fruit): pass\nfruit = "
    test = "from handed_out_fruits import Fruit\nassert isinstance(fruit, Fruit)\nassert type(fruit) == Fruit"
    notebook = material(answer(begin + "Fruit(3, 2)"), checked(test))
    result = grade_forked(shell, notebook, submission(notebook, begin + made), calibrate(shell, notebook)).only
    assert (result.points, result.mode) == (points, "verified")
