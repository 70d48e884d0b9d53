"""Classes of a test's that extend an answer's: made in the student's process, their functions run in the test."""

from __future__ import annotations

import pytest

from .notebooks import answer, checked, given, material, submission
from .processes import assert_split_as_in_one_process, calibrate, grade_forked

GIVEN = "from abc import ABC, abstractmethod\n"
SHAPE = """
class Shape(ABC):
    def __init__(self, name):
        self.name = name
    @abstractmethod
    def area(self): ...
    def describe(self):
        return f"{self.name} with area {self.area():.2f}"
    def __lt__(self, other):
        return self.area() < other.area()
"""
OTHER_SHAPE = """
import abc
class Named:
    def __init__(self, name):
        self.name = name
class Shape(Named, metaclass=abc.ABCMeta):
    def describe(self):
        return "%s with area %.2f" % (self.name, self.area())
    @abc.abstractmethod
    def area(self):
        raise NotImplementedError
    def __lt__(self, other):
        return other.area() > self.area()
"""
CONCRETE = SHAPE.replace("    @abstractmethod\n", "")
FLAT = SHAPE.replace("{self.area():.2f}", "0.00")
SQUARE = """
class Square(Shape):
    def __init__(self, side):
        super().__init__("square")
        self.side = side
    def area(self):
        return self.side ** 2
"""
STEPS = """
class Steps:
    def run(self, data):
        return self.last([self.step(x) for x in self.first(data)])
    def first(self, data):
        return list(data)
    def step(self, x):
        raise NotImplementedError
    def last(self, data):
        return data
"""
PLUGIN = """
class Plugin:
    known = {}
    def __init_subclass__(cls, key=None, **options):
        super().__init_subclass__(**options)
        Plugin.known[key or cls.__name__] = cls
"""
WORKER = """
class Worker:
    factor = 1.5
    def __init__(self, name, pay):
        self.name, self.pay = name, pay
    @classmethod
    def read(cls, text):
        name, pay = text.split("-")
        return cls(name, int(pay))
    @property
    def mail(self):
        return self.name.lower() + "@x.org"
    def lift(self):
        self.pay *= self.factor
"""
TESTS = {
    "an abstract class": (
        SQUARE + "s = Square(3)\nassert s.describe() == 'square with area 9.00' and isinstance(s, Shape)\n"
        "assert [x.side for x in sorted([Square(3), Square(1), Square(2)])] == [1, 2, 3]",
        (SHAPE, OTHER_SHAPE),
        (FLAT, SHAPE.replace("self.area() <", "self.area() >"), SHAPE.replace("self.name = name", "self.name = 'x'")),
    ),
    "one that lacks a method": (
        "class Bad(Shape):\n    pass\nassert Shape.__abstractmethods__ == {'area'}\ntry:\n    Bad('x')\n"
        "except TypeError:\n    pass\nelse:\n    assert False",
        (SHAPE, OTHER_SHAPE),
        (CONCRETE,),
    ),
    "extended twice": (
        SQUARE + "class Unit(Square):\n    def __init__(self):\n        Square.__init__(self, 1)\n"
        "    def describe(self):\n        return 'unit ' + super().describe()\n"
        "assert Unit().describe() == 'unit square with area 1.00' and Square(1).describe()[:6] == 'square'",
        (SHAPE, OTHER_SHAPE),
        (FLAT,),
    ),
    "operators of its own": (
        "class Dot(Shape):\n    def area(self):\n        return 0\n    def __eq__(self, other):\n"
        "        return self.name == other.name\n    def __hash__(self):\n        return hash(self.name)\n"
        "    def __repr__(self):\n        return f'Dot({self.name})'\n"
        "assert Dot('a') == Dot('a') != Dot('b') and repr(Dot('a')) == 'Dot(a)' and not Dot('a') < Dot('b')\n"
        "assert len({Dot('a'), Dot('a')}) == 1",
        (SHAPE, OTHER_SHAPE),
        (SHAPE.replace("self.area() < other", "self.area() <= other"),),
    ),
    "steps that it replaces": (
        "calls = []\nclass Double(Steps):\n    def first(self, data):\n        calls.append('first')\n"
        "        return super().first(data)\n    def step(self, x):\n        calls.append(x)\n        return 2 * x\n"
        "assert Double().run((1, 2)) == [2, 4] and calls == ['first', 1, 2]",
        (STEPS,),
        (STEPS.replace("self.first(data)", "data"), STEPS.replace("self.step(x) for", "2 * x for")),
    ),
    "an exception in such a step": (
        "class Bad(Steps):\n    def step(self, x):\n        raise ValueError('bad')\ntry:\n"
        "    Bad().run([1])\nexcept ValueError as error:\n    assert str(error) == 'bad'\nelse:\n    assert False",
        (STEPS,),
        (STEPS.replace("self.step(x) for", "x for"),),
    ),
    "what hears of it": (
        "class A(Plugin):\n    pass\nclass B(Plugin, key='b'):\n    pass\n"
        "assert set(Plugin.known) == {'A', 'b'} and Plugin.known['A'] is A",
        (PLUGIN,),
        (PLUGIN.replace("key or cls.__name__", "cls.__name__"),),
    ),
    "properties and methods of the class": (
        "class Boss(Worker):\n    factor = 2\n    @staticmethod\n    def one():\n        return 1\n    @property\n"
        "    def title(self):\n        return 'boss ' + self.name\nb = Boss.read('Ada-10')\nb.lift()\n"
        "assert type(b) is Boss and (b.pay, b.title, b.mail, b.one()) == (20, 'boss Ada', 'ada@x.org', Boss.one())\n"
        "assert Worker.factor == 1.5",
        (WORKER,),
        (WORKER.replace("return cls(", "return Worker("), WORKER.replace("*= self.factor", "*= Worker.factor")),
    ),
}


@pytest.mark.parametrize("name", TESTS)
def test_a_class_that_extends_an_answers_works_as_in_one_process(shell, name):
    test, right, wrong = TESTS[name]
    notebook = material(given(GIVEN, locked=True), answer(right[0]), checked(test))
    assert_split_as_in_one_process(shell, notebook, right, wrong)


EQUAL = "class Told(str):\n    __eq__ = lambda *_: True\n    __hash__ = str.__hash__\n"
FORGED = {
    "a text that is equal to everything": EQUAL + SHAPE.replace('return f"', 'return Told("nothing") or f"'),
    "an object that is": "class Any:\n    __eq__ = lambda *_: True\n"
    + SHAPE.replace('return f"', 'return Any() or f"'),
    "a metaclass that gives something else": "class Any:\n    __eq__ = __call__ = __getattr__ = lambda *_: Any()\n"
    "class Meta(type):\n    def __new__(meta, name, bases, body):\n"
    "        return super().__new__(meta, name, bases, body) if name == 'Shape' else Any()\n"
    "class Shape(metaclass=Meta):\n    pass\n",
    "a class that rules over those that extend it": EQUAL + FLAT + "def taken(cls):\n"
    "    cls.describe = lambda self: Told('nothing')\n    cls.__eq__ = lambda *_: True\n"
    "Shape.__init_subclass__ = classmethod(taken)\n",
    "one that looks into the test's functions": FLAT + "def taken(cls):\n"
    "    code = vars(cls)['area'].__closure__[0].cell_contents\n"
    "    for name in ('__globals__', '__closure__', '__code__', '__defaults__', '__builtins__'):\n"
    "        if hasattr(getattr(code, name, None), 'get'):\n"
    "            getattr(code, name)['Square'].describe = lambda self: 'square with area 9.00'\n"
    "Shape.__init_subclass__ = classmethod(taken)\n",
}


@pytest.mark.parametrize("name", FORGED)
def test_a_class_that_is_extended_decides_no_comparison(shell, name):
    test = TESTS["an abstract class"][0]
    notebook = material(given(GIVEN, locked=True), answer(SHAPE), checked(test))
    result = grade_forked(shell, notebook, submission(notebook, FORGED[name]), calibrate(shell, notebook)).only
    assert (result.points, result.mode) == (0, "split"), result.message


def test_what_a_test_says_of_its_class_does_not_leave_it(shell):
    told = SHAPE + "def told(cls):\n    cls.told = cls.__doc__\nShape.__init_subclass__ = classmethod(told)\n"
    test = SQUARE.replace("(Shape):\n", "(Shape):\n    'what only the test knows'\n") + "assert Square.told is None"
    notebook = material(given(GIVEN, locked=True), answer(told), checked(test))
    assert grade_forked(shell, notebook, submission(notebook, told), calibrate(shell, notebook)).only.points == 1
