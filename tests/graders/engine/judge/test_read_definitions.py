"""Tests that read the text and the parameters of what students define."""

from __future__ import annotations

import pytest
from studium_graders.engine.judge.python_text import parse

from .notebooks import answer, checked, material, submission
from .processes import calibrate, grade_forked

BOX = """
class Box:
    def __init__(self, width, depth=3):
        self.width = width
        self.depth = depth

    def area(self):
        return self.width * self.depth

class Cube(Box):
    pass
"""
NET = """
import torch
class Net(torch.nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.layer = torch.nn.Linear(3, hidden)
    def forward(self, x):
        return self.layer(x)
"""
INSPECT = "import inspect\n"


def graded(shell, reference, text, test):
    notebook = material(answer(reference), checked(INSPECT + test))
    result = grade_forked(shell, notebook, submission(notebook, text), calibrate(shell, notebook)).only
    return result.points, result.mode


@pytest.mark.parametrize("begin", ["", "\n\n", "  \n", "%%time\n"])
def test_the_text_of_a_function_is_whole_however_many_empty_lines_its_cell_begins_with(shell, begin):
    text = "def double(a, b=2):\n    c = a * b\n\n    return c"
    test = f"assert inspect.getsource(double).strip() == {text!r}"
    assert graded(shell, text, begin + text, test) == (1, "verified")


def test_lines_of_a_cell_have_the_numbers_that_they_have_in_it():
    assert parse("\n \nx = 1\n").body[0].lineno == 3
    assert parse("%%time\n\nx = 1\n").body[0].lineno == 3


@pytest.mark.parametrize(
    ("reference", "test"),
    [
        (BOX, "assert 'self.width' in inspect.getsource(Box.__init__)"),
        (BOX, "assert 'self.width' in inspect.getsource(Cube(1).__init__)"),
        (BOX, "assert 'self.width' in inspect.getsource(Cube.__init__)"),
        (BOX, "assert 'return' in inspect.getsource(Cube.area)"),
        (BOX, "assert [*inspect.signature(Box.__init__).parameters] == ['self', 'width', 'depth']"),
        (BOX, "assert inspect.signature(Box(1).__init__).parameters['depth'].default == 3"),
        (BOX, "assert [*inspect.signature(Cube).parameters] == ['width', 'depth']"),
        (NET, "assert 'super().__init__' in inspect.getsource(Net.__init__)"),
        (NET, "assert [*inspect.signature(Net).parameters] == ['hidden']"),
    ],
)
def test_what_makes_an_object_has_its_text_and_its_parameters(shell, reference, test):
    assert graded(shell, reference, reference, test) == (1, "verified")
    wrong = reference.replace("__init__(self", "make(self").replace("def area", "def size").replace("return", "yield")
    assert graded(shell, reference, wrong, test) == (0, "verified")


def test_a_class_has_no_initialiser_of_its_own_where_it_defines_none(shell):
    test = "assert '__init__' not in vars(Cube) and Cube(2).area() == 6"
    assert graded(shell, BOX, BOX, test) == (1, "verified")


def test_an_operator_of_a_students_class_has_not_the_text_of_the_engines(shell):
    reference = BOX + "    def __str__(self):\n        return 'a cube'\n"
    test = "assert 'return' in inspect.getsource(Cube.__str__)"
    assert graded(shell, reference, reference, test) == (1, "unverified")
    assert graded(shell, reference, reference.replace("return 'a", "print('a').x  # '"), test)[0] == 0


WRAPPERS = """
import functools
def wrapped(function):
    @functools.wraps(function)
    def wrapper(*args):
        return function(*args)
    return wrapper
def plainly(function):
    def wrapper(*args):
        return function(*args)
    return wrapper
"""
HALVES = "def halves(n):\n    return 0 if n < 2 else 1 + halves(n // 2)\n"


@pytest.mark.parametrize(
    "call", ["wrapped({})", "plainly({})", "functools.lru_cache({})", "functools.lru_cache(maxsize=None)({})"]
)
@pytest.mark.parametrize("name", ["halves", "cut"])
def test_a_function_that_is_wrapped_later_has_the_text_of_its_definition(shell, name, call):
    text = WRAPPERS + HALVES.replace("def halves", f"def {name}") + f"halves = {call.format(name)}\n"
    test = "source = inspect.getsource(halves)\nassert halves(8) == 3 and 'while' not in source and '// 2' in source"
    assert graded(shell, HALVES, text, test) == (1, "verified")
    assert graded(shell, HALVES, text.replace("n // 2", "n >> 1"), test) == (0, "verified")


def test_one_that_is_made_of_nothing_has_none(shell):
    text = f"{HALVES}halves = eval('lambda n: n.bit_length() - 1')\n"
    assert graded(shell, HALVES, text, "assert 'while' not in inspect.getsource(halves)") == (0, "verified")


FACT = "def fact(n):\n    return 1 if n == 0 else n * fact(n - 1)\n"
LOOP = "def loop(n):\n    r = 1\n    for i in range(1, n + 1): r *= i\n    return r\n"
NO_LOOP = "text = inspect.getsource(fact)\nassert 'for' not in text and text.count('fact') >= 2 and fact(5) == 120"
REBOUND = {
    "with a type": FACT + LOOP + "fact: object = loop",
    "in a tuple": FACT + LOOP + "fact, other = loop, 0",
    "beside another": FACT + LOOP + "other = fact = loop",
    "by a loop": FACT + LOOP + "for fact in [loop]: pass",
    "in an expression": FACT + LOOP + "print(fact := loop)",
    "in a value": FACT + LOOP + "other = (fact := loop)",
    "with all of a module": FACT.replace("fact", "factorial") + "from math import *\nfact = factorial",
    "in a handler": FACT + LOOP + "try:\n    1 / 0\nexcept ArithmeticError:\n    fact = loop",
    "by an import": FACT + "from math import factorial as fact",
    "by a function": LOOP + "def bind():\n    global fact\n    fact = loop\n" + FACT + "bind()",
    "by text": FACT + f"exec({LOOP.replace('loop', 'fact')!r})",
    "by name": FACT + LOOP + "globals()['fact'] = loop",
    "by its code": FACT + LOOP + "fact.__code__ = loop.__code__",
}
MORE = "import functools\ndef logged(f):\n    @functools.wraps(f)\n    def call(*a): return f(*a)\n    return call\n"


@pytest.mark.parametrize("text", REBOUND.values(), ids=REBOUND)
def test_the_text_of_a_function_is_that_of_what_its_name_stands_for(shell, text):
    assert graded(shell, FACT, text, NO_LOOP) == (0, "verified")


@pytest.mark.parametrize(
    "text",
    [
        MORE + "@logged\n" + FACT,
        MORE + FACT + "fact = logged(fact)",
        "n: int = 3\nif 'fact' not in globals():\n    " + FACT.replace("    ", "        "),
    ],
)
def test_a_decorator_that_says_what_it_wraps_changes_no_text(shell, text):
    assert graded(shell, FACT, text, NO_LOOP) == (1, "verified")


@pytest.mark.parametrize("bound", ["Box.area = size", "for Box.area in [size]: pass"])
def test_the_text_of_a_method_is_that_of_what_its_class_has(shell, bound):
    test = "assert '//' not in inspect.getsource(Box.area) and Box(2).area() == 6"
    assert graded(shell, BOX, BOX, test) == (1, "verified")
    assert graded(shell, BOX, BOX + "def size(self): return self.width * self.depth // 1\n" + bound, test) == (
        0,
        "verified",
    )
