"""What the engine refuses to a test is no exception of the student's, also where a test waits for a TypeError."""

from __future__ import annotations

import pytest

from .notebooks import answer, checked, material, submission
from .processes import calibrate, grade_forked

BOX = "class Box:\n    def __init__(self, x):\n        self.x = x\n"
ORDERED = BOX + "    def __lt__(self, other):\n        return self.x < other.x\n"
NO_ORDER = "import pytest\nwith pytest.raises(TypeError):\n    Box(1) < Box(2)"
SHAPE = (
    "from abc import ABC, abstractmethod\nclass Shape(ABC):\n    @abstractmethod\n    def area(self):\n        ...\n"
)
PLAIN_SHAPE = "class Shape:\n    def area(self):\n        raise TypeError('there is none')\n"
NO_AREA = "import pytest\nclass NoArea(Shape):\n    pass\nwith pytest.raises(TypeError):\n    NoArea()"
PAIR = "def pair():\n    return (1, 2)"
OWN_PAIR = """
class Pair:
    def __setitem__(self, index, value):
        pass
def pair():
    return Pair()
"""
FIXED = "import pytest\nwith pytest.raises(TypeError):\n    pair()[0] = 3"


def graded(shell, reference, text, test):
    notebook = material(answer(reference), checked(test))
    calibration = calibrate(shell, notebook)
    return grade_forked(shell, notebook, submission(notebook, text), calibration).only


@pytest.mark.parametrize(
    ("reference", "text", "test", "outcome"),
    [
        (BOX, ORDERED, NO_ORDER, "review"),
        (SHAPE, PLAIN_SHAPE, NO_AREA, "failed"),
        (PAIR, OWN_PAIR, FIXED, "review"),
    ],
    ids=["an operator", "a class that is not abstract", "an object in place of a value"],
)
def test_a_refusal_of_the_engines_is_not_the_type_error_that_a_test_waits_for(shell, reference, text, test, outcome):
    assert graded(shell, reference, reference, test).outcome == "passed"
    failed = graded(shell, reference, text, test)
    assert (failed.outcome, failed.points) == (outcome, 0)
    assert failed.message


def test_an_object_that_answers_what_it_must_not_is_named(shell):
    message = graded(shell, BOX, ORDERED, NO_ORDER).message
    assert "an object of the class Box stands where a plain value is needed: its __lt__ is not asked" in message


@pytest.mark.parametrize(("text", "points"), [(SHAPE, 1), (PLAIN_SHAPE, 0)])
def test_an_abstract_class_raises_pythons_own_type_error(shell, text, points):
    test = "import pytest\nwith pytest.raises(TypeError, match='abstract'):\n    Shape()"
    result = graded(shell, SHAPE, text, test)
    assert (result.points, result.mode) == (points, "verified")


def test_a_refusal_in_one_test_fails_no_other(shell):
    reference = BOX + PAIR
    notebook = material(answer(reference), checked(NO_ORDER), checked("assert Box(3).x == 3"))
    text = submission(notebook, ORDERED + PAIR)
    assert grade_forked(shell, notebook, text, calibrate(shell, notebook)).points == [0, 1]


CODED = "def coded(text):\n    return [*text]\ndef decoded(letters):\n    return ''.join(letters)\n"
OWN_CODED = """
class Code:
    def __init__(self, text): self.text = text
def coded(text): return Code(text)
def decoded(code): return code.text
"""
THERE_AND_BACK = "assert decoded(coded('abc')) == 'abc'"


@pytest.mark.parametrize(
    ("old", "new"),
    [("", ""), ("class Code:", "import torch\nclass Code(torch.nn.Module):\n    pass\nclass Code:")],
)
def test_an_object_in_place_of_a_value_may_go_back_to_where_it_came_from(shell, old, new):
    text = OWN_CODED.replace(old, new, 1)
    assert graded(shell, CODED, text, THERE_AND_BACK).points == 1
    assert graded(shell, CODED, text, "code = coded('abc')\nassert decoded(code) == 'abc' == decoded(code)").points == 1
    assert graded(shell, CODED, text, "assert decoded([coded('abc')][0]) == 'abc'").points == 1
    assert graded(shell, CODED, text.replace("return code.text", "return 'a'"), THERE_AND_BACK).points == 0


def test_but_it_is_asked_for_nothing(shell):
    always = "    def __eq__(self, other): return True\n    def __len__(self): return 3\ndef coded"
    text = OWN_CODED.replace("def coded", always)
    assert graded(shell, CODED, text, "assert coded('abc') == ['a', 'b', 'c']").points == 0
    assert graded(shell, CODED, text, "assert len(coded('abc')) == 3").points == 0
