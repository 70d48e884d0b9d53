"""Dataclasses with methods: a test sees the fields that the answer's class has, through Python's own functions."""

from __future__ import annotations

import pytest

from .notebooks import answer, checked, given, material, submission
from .processes import calibrate, grade_forked, grade_split

GIVEN = "import dataclasses\nfrom dataclasses import asdict, astuple, dataclass, field, fields, is_dataclass, replace"
REFERENCE = """
@dataclass(frozen=True)
class Point:
    x: int
    y: int = 0
    def moved(self, dx):
        return replace(self, x=self.x + dx)
"""
AS_DICT = "assert asdict(Point(1, 2).moved(3)) == {'x': 4, 'y': 2}"
AS_TUPLE = "assert astuple(Point(1, 2).moved(3)) == (4, 2)"
NAMES = "assert [one.name for one in fields(Point)] == ['x', 'y']"
FROZEN = "import pytest\nwith pytest.raises(dataclasses.FrozenInstanceError):\n    Point(1).x = 2"
REPLACED = "assert replace(Point(1, 2), y=7).y == 7"
IS_ONE = "assert is_dataclass(Point) and is_dataclass(Point(1)) and not isinstance(Point(1), type)"
MATCHED = "match Point(1, 2).moved(3):\n    case Point(4, y):\n        assert y == 2\n    case _:\n        assert False"
DEFAULT = "assert fields(Point)[1].default == 0 and fields(Point)[0].default is dataclasses.MISSING"

SAME = "class Same(int):\n    def __eq__(self, other): return True\n    def __hash__(self): return 1\n"
TEXT = "class Text(str):\n    def __eq__(self, other): return True\n    def __hash__(self): return 1\n"
WRONG = "@dataclass\nclass Point:\n    a: int\n    b: int = 1\n    def moved(self, dx): return self\n"


def graded(shell, text, test):
    notebook = material(given(GIVEN, locked=True), answer(REFERENCE), checked(test))
    return grade_split(shell, notebook, text).only


@pytest.mark.parametrize("test", [AS_DICT, AS_TUPLE, NAMES, FROZEN, REPLACED, IS_ONE, MATCHED, DEFAULT])
def test_a_dataclass_with_methods_is_judged_apart(shell, test):
    assert (result := graded(shell, REFERENCE, test)).mode == "split"
    assert result.points == 1
    assert graded(shell, "class Point:\n    def __init__(self, *values): pass\n    moved = replace", test).points == 0


@pytest.mark.parametrize(
    ("text", "test"),
    [
        (f"{WRONG}dataclasses.asdict = lambda value: {{'x': 4, 'y': 2}}", AS_DICT),
        (f"{WRONG}dataclasses.fields = lambda value: []\ndataclasses.astuple = lambda value: (4, 2)", AS_TUPLE),
        (f"{SAME}{WRONG.replace('return self', 'return Point(Same(), Same())')}", AS_TUPLE),
        (f"{SAME}{WRONG}    def __getattribute__(self, name): return Same()", AS_TUPLE),
        (f"{TEXT}{WRONG}for one in fields(Point): one.name = Text(one.name)", NAMES),
        (f"{TEXT}{WRONG}Point.__dataclass_fields__ = {{Text(): 1}}", NAMES),
        (f"{WRONG}Point.__match_args__ = property(lambda self: ('x', 'y'))", MATCHED),
        (f"{WRONG}type.__setattr__(Point, '__match_args__', ('__class__', 'b'))", MATCHED),
        ("class FrozenInstanceError(AttributeError): pass\nFrozenInstanceError.__module__ = 'dataclasses'\n"
         f"{WRONG}    def __setattr__(self, name, value):\n"
         "        if name == 'x': raise FrozenInstanceError", FROZEN),
        (f"{WRONG}dataclasses.FrozenInstanceError = Exception", FROZEN),
        (f"{WRONG}    def __replace__(self, **changes): return 7\ndataclasses.replace = lambda *a, **k: 7", REPLACED),
        ("class Meta(type):\n    def __getattr__(cls, name): return {}\nclass Point(metaclass=Meta):\n"
         "    def __init__(self, x): pass\n    __class__ = dict", IS_ONE),
        (f"{SAME}{WRONG}fields(Point)[1].default = Same(3)", DEFAULT),
    ],
)  # fmt: skip
def test_an_answer_earns_nothing_by_what_its_class_says_of_itself(shell, text, test):
    result = graded(shell, text, test)
    assert (result.points, result.mode) == (0, "split")


def test_a_field_may_have_any_default(shell):
    more = (
        "y: int = 0\n    z: bytes = bytes(9000)\n    v: tuple = (1, (2,), b'3')\n"
        "    w: object = field(default=object(), init=False)"
    )
    text = REFERENCE.replace("y: int = 0", more)
    assert graded(shell, text, f"{REPLACED}\n{IS_ONE}\n{DEFAULT}").points == 1


def test_what_is_compared_and_shown_of_plain_data_is_what_the_reference_compares_and_shows(shell):
    plain = "@dataclass\nclass Point:\n    x: int\ndef make(x): return Point(x)"
    hidden = plain.replace("x: int", "x: int = field(compare=False, repr=False)").replace("Point(x)", "Point(0)")
    notebook = material(given(GIVEN, locked=True), answer(plain), checked("assert make(3) == Point(3)"))
    calibration = calibrate(shell, notebook)
    for text, points in ((plain, 1), (hidden, 0)):
        assert grade_forked(shell, notebook, submission(notebook, text), calibration).only.points == points


OF_ALL = [
    "assert all(one.default is dataclasses.MISSING or one.default == 0 for one in fields(Point))",
    "assert is_dataclass(Point)\nfor one in fields(Point(1)):\n    assert one.name in ('x', 'y')",
    "assert not set(asdict(Point(1))) - {'x', 'y'}",
]
WITHOUT = "@dataclass\nclass Point:\n    def __init__(self, *values): pass\n"
TO_BEGIN = "@dataclass\nclass Point:\n    x: dataclasses.InitVar[int] = 0\n    y: dataclasses.InitVar[int] = 0\n"


NOTHING = "@dataclass\nclass Point:\n    pass\n"


@pytest.mark.parametrize("test", OF_ALL)
@pytest.mark.parametrize("text", [WITHOUT, TO_BEGIN, NOTHING])
def test_a_dataclass_without_fields_is_not_one_of_which_all_fields_are_right(shell, test, text):
    assert graded(shell, text, test).points == 0
    assert graded(shell, REFERENCE.replace("frozen=True", "order=True"), test).points == 1


def test_nor_is_an_enum_without_members(shell):
    reference = "class Colour(enum.Enum):\n    RED = 1\n    BLUE = 2\n"
    notebook = material(
        given("import enum"), answer(reference), checked("assert all(c.value in (1, 2) for c in Colour)")
    )
    calibration = calibrate(shell, notebook)
    texts = ["class Colour(enum.Enum):\n    pass\n", "class Colour(enum.IntEnum):\n    RED, BLUE = 1, 2\n"]
    found = [grade_forked(shell, notebook, submission(notebook, text), calibration).only for text in texts]
    assert [(one.points, one.mode) for one in found] == [(0, "split"), (1, "split")]


LOGGED = REFERENCE.replace(
    "    def moved", "    log: object = field(default_factory=object, compare=False, repr=False)\n    def moved"
)


@pytest.mark.parametrize("test", [REPLACED, "assert replace(Point(1, 2).moved(3), y=1).x == 4"])
def test_a_field_more_may_hold_an_object(shell, test):
    assert graded(shell, LOGGED, test).points == 1


PLAIN = "@dataclass(frozen=True)\nclass Point:\n    x: int\n    y: int = 0\ndef middle(a, b):\n    return Point(1, 1)\n"
BY_HAND = """
class Point:
    def __init__(self, x, y=0): self.x, self.y = x, y
    def __eq__(self, other): return self.x == other.x and self.y == other.y
    def __hash__(self): return hash((self.x, self.y))
def middle(a, b): return Point(1, 1)
"""
EQUAL = ["Point(1, 2) == Point(1, 2)", "Point(3) in [Point(1), Point(3)]", "Point(y=1, x=2) == Point(y=1, x=2)"]
UNEQUAL = ["Point(1, 2) != Point(2, 1)", "not Point(1) == Point(1, 1)", "len({Point(1), Point(2), Point(1)}) == 2"]
RESULT = "middle(Point(0, 0), Point(2, 2)) == Point(1, 1)"
OTHER_KIND = "Point(1, 2) != (1, 2)"


def of_plain(shell, text, test):
    notebook = material(given(GIVEN, locked=True), answer(PLAIN), checked(f"assert {test}"))
    return grade_forked(shell, notebook, submission(notebook, text), calibrate(shell, notebook)).only.points


@pytest.mark.parametrize("test", [*EQUAL, *UNEQUAL])
def test_objects_that_a_test_makes_are_compared_by_the_answers_class_where_the_reference_has_plain_data(shell, test):
    assert of_plain(shell, BY_HAND, test) == 1
    nothing = BY_HAND.replace("def __eq__", "def same").replace("def __hash__", "def number")
    assert of_plain(shell, nothing, test) == (test in UNEQUAL[:2])


@pytest.mark.parametrize("text", ["True", "isinstance(other, Point)", "other.x >= 0", "1"])
def test_it_decides_nothing_where_they_are_made_of_other_values(shell, text):
    always = BY_HAND.replace("self.x == other.x and self.y == other.y", text)
    assert not any(of_plain(shell, always, test) for test in UNEQUAL[:2])
    assert of_plain(shell, always, RESULT) == 0
    assert of_plain(shell, always.replace("return Point(1, 1)", "return a"), RESULT) == 0
    moved = always.replace("return Point(1, 1)", "a.x = a.y = 1; return a")
    assert of_plain(shell, moved, RESULT) == 0


def test_a_comparison_that_raises_does_so_in_the_test(shell):
    assert of_plain(shell, PLAIN, OTHER_KIND) == 1
    assert of_plain(shell, BY_HAND, OTHER_KIND) == 0
