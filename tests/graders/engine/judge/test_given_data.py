"""Given classes of plain data have their methods in the judge: a student who replaces them replaces their own copy."""

from __future__ import annotations

import pytest
from studium_graders.engine.material import Calibration

from .notebooks import answer, checked, given, material, submission
from .processes import calibrate, grade_forked, grade_split

POINT = """
from dataclasses import dataclass
@dataclass
class Point:
    x: float
    y: float
    def norm(self):
        return (self.x**2 + self.y**2) ** 0.5
    def __neg__(self):
        return Point(-self.x, -self.y)
"""
MIRRORED = "def mirrored(p):\n    return -p\n"
TEST = "p = Point(3, 4)\nassert mirrored(p) == Point(-3, -4) and mirrored(p).norm() == 5"
REPLACED = "Point.__eq__ = lambda self, other: True\nPoint.norm = lambda self: 5\n"
OTHER = "class Point(Point):\n    __eq__ = lambda self, other: True\n    norm = lambda self: 5\n"


def graded(shell, text):
    notebook = material(given(POINT, locked=True), answer(MIRRORED), checked(TEST, hidden=True))
    return grade_split(shell, notebook, text).only


def test_a_method_of_a_given_class_needs_no_second_process(shell):
    assert (graded(shell, MIRRORED).points, graded(shell, MIRRORED).mode) == (1, "split")
    assert graded(shell, "def mirrored(p):\n    return Point(-p.x, y=-p.y)\n").points == 1


@pytest.mark.parametrize("text", [REPLACED, OTHER], ids=["its methods replaced", "another class of its name"])
def test_a_given_class_is_the_judges_own(shell, text):
    assert graded(shell, text + "def mirrored(p):\n    return Point(0, 0)\n").points == 0
    assert graded(shell, text + MIRRORED).points == (1 if text == REPLACED else 0)


FRAC = """
class Frac:
    def __init__(self, top, bottom):
        self.top, self.bottom = top, bottom
    def __eq__(self, other):
        return self.top * other.bottom == other.top * self.bottom
    def __gt__(self, other):
        return self.top * other.bottom > other.top * self.bottom
"""
HALF = "def half(f):\n    return Frac(f.top, 2 * f.bottom)\n"
HALVES = "assert half(Frac(1, 3)) == Frac(1, 6) and half(Frac(1, 3)) == Frac(2, 12) and Frac(1, 3) > half(Frac(1, 3))"
YES = "    __eq__ = __gt__ = __lt__ = lambda self, other: True\n"
ANYTHING = f"    top = bottom = 0\n    __init__ = lambda self, *args: None\n{YES}"
LIES = {
    "its operators replaced": "Frac.__eq__ = Frac.__gt__ = lambda self, other: True\n",
    "another class of its name": f"class Frac:\n{ANYTHING}",
    "a class that extends it": f"class Frac(Frac):\n{YES}",
    "a class with slots": f"class Frac:\n    __slots__ = ('top', 'bottom')\n    __init__ = Frac.__init__\n{YES}",
    "a metaclass": f"class Meta(type):\n    pass\nclass Frac(Frac, metaclass=Meta):\n{YES}",
    "a class of another name": f"class Yes:\n{ANYTHING}Frac = Yes\n",
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_operators_of_a_given_class_are_the_judges_own(shell, lie):
    notebook = material(given(FRAC, locked=True), answer(HALF), checked(HALVES, hidden=True))
    calibration = calibrate(shell, notebook)
    assert not calibration.one_process
    assert not calibration.operators
    assert grade_forked(shell, notebook, submission(notebook, HALF), calibration).only.points == 1
    text = f"{lie}def half(f):\n    return Frac(0, 1)\n"
    assert grade_forked(shell, notebook, submission(notebook, text), calibration).only.points == 0


def test_nothing_that_an_object_holds_stands_before_a_method_of_its_class(shell):
    shown = FRAC + "    def shown(self):\n        return f'{self.top}/{self.bottom}'\n"
    test = "assert half(Frac(1, 3)).shown() == '1/6'"
    text = HALF.replace("return ", "f = ") + "    f.top, f.shown = 0, lambda: '1/6'\n    return f\n"
    notebook = material(given(shown, locked=True), answer(HALF), checked(test, hidden=True))
    for calibration in (calibrate(shell, notebook), Calibration()):
        assert grade_forked(shell, notebook, submission(notebook, HALF), calibration).only.points == 1
        assert grade_forked(shell, notebook, submission(notebook, text), calibration).only.points == 0


SHOWN = "def longer(items):\n    raise NotImplementedError()\n    return first, items\n"


@pytest.mark.parametrize("reference", [SHOWN, "def longer(items):\n    return items[0], items + [8]"])
@pytest.mark.parametrize(
    ("text", "points"),
    [
        ("def longer(items):\n    items.append(8)\n    return items[0], items", 1),
        ("def longer(items):\n    return items[0], [*items, 8]", 1),
        ("def longer(items):\n    return items[0], items", 0),
    ],
)
def test_given_data_that_a_given_cell_makes_anew_of_an_answer_are_what_it_made(shell, reference, text, points):
    notebook = material(
        given("items = [1, 2, 3]"),
        answer(reference),
        given("first, items = longer(items)", locked=True),
        checked("assert first == 1\nassert items == [1, 2, 3, 8]"),
    )
    result = grade_forked(shell, notebook, submission(notebook, text), calibrate(shell, notebook)).only
    assert (result.points, result.mode) == (points, "split")


def test_given_data_that_a_given_cell_binds_again_itself_are_the_judges(shell):
    notebook = material(
        given("items = [1, 2, 3]"),
        answer("def longer(items):\n    return items + [8]"),
        given("items = longer(items)\nitems = [4]"),
        checked("assert items == [4] and longer(items) == [4, 8]"),
    )
    text = "def longer(items):\n    global longest\n    longest = items\n    return items + [8]"
    result = grade_forked(shell, notebook, submission(notebook, text), calibrate(shell, notebook)).only
    assert (result.points, result.mode) == (1, "split")


FILLING = """
losses, best = [], {}
for x in [1, 2]:
    losses.append(double(x))
    best[x] = double(x)
total = sum(losses)
"""


@pytest.mark.parametrize(("text", "points"), [("def double(x): return x + x", 1), ("def double(x): return 3", 0)])
def test_given_data_that_a_given_cell_fills_with_what_an_answer_gives_hold_it(shell, text, points):
    notebook = material(
        answer("def double(x): return 2 * x"),
        given(FILLING, locked=True),
        checked("assert losses == [2, 4] and best == {1: 2, 2: 4}\nassert total == sum(losses) == 6"),
    )
    result = grade_forked(shell, notebook, submission(notebook, text), calibrate(shell, notebook)).only
    assert (result.points, result.mode) == (points, "split")


@pytest.mark.parametrize(
    "shown", ["sorted(expected) == double(3)", "expected.index(double(1))", "plot(expected, double)"]
)
def test_given_data_that_a_given_cell_compares_with_an_answer_are_the_judges(shell, shown):
    notebook = material(
        answer("def double(x): return 2 * x"),
        given(f"def plot(*items): pass\nexpected = [2, 4]\n{shown}", locked=True),
        checked("assert [double(1), double(2)] == expected"),
    )
    text = "def double(x):\n    globals()['expected'] = [3, 3]\n    return 3"
    assert grade_forked(shell, notebook, submission(notebook, text), calibrate(shell, notebook)).only.points == 0
