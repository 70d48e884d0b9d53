"""Exceptions cross as what they are: Python's own, a student's, groups of them, and those that are odd to rebuild."""

import builtins
import importlib
import unittest

import pytest
from studium_graders.engine.kinds.exceptions import library_error

from .liar import Liar, reply

OWN = sorted(
    name for name, value in vars(builtins).items() if isinstance(value, type) and issubclass(value, BaseException)
)


def forged(members, name="ExceptionGroup", arguments=("m",), attributes=()):
    """The node of an exception that a student's process made up."""
    return [name, [["builtins", name]], members, None, list(arguments), "m", "", None, attributes, None]


@pytest.fixture(scope="module")
def student(make_module_student):
    return make_module_student("""
import builtins
import importlib
import unittest
def make(name, *args):
    cls = getattr(builtins, name)
    if "Group" in name: return cls("m", [ValueError(1), *args])
    if name == "UnicodeDecodeError": return cls("utf-8", b"x\\xff", 1, 2, "no")
    if name == "UnicodeEncodeError": return cls("ascii", "x\\xe9", 1, 2, "no")
    if name == "UnicodeTranslateError": return cls("x\\xe9", 1, 2, "no")
    return cls(*args)
def throw(name, *args): raise make(name, *args)
def say(name, *args): return str(make(name, *args))
def throw_odd(name):
    class Odd(getattr(builtins, name)):
        def __init__(self, *, code=5): self.code = code
        def __str__(self): return f"odd {self.code}"
        def __new__(cls, **given):
            group = ["m", [ValueError()]] if "Group" in name else []
            return getattr(builtins, name).__new__(cls, *group)
    raise Odd()
def invalid(*bad):
    raise ExceptionGroup("invalid", [ValueError(f"bad {x}") for x in bad])
class Invalid(ExceptionGroup):
    def __new__(cls, bad):
        inner = ExceptionGroup("in", [OSError(2, "no", "f")])
        return super().__new__(cls, "own", [KeyError(bad), inner])
def own(): raise Invalid("k")
def given(): return ExceptionGroup("given", [TypeError("t")])
def wide(): raise ExceptionGroup("wide", [ValueError(x) for x in range(1000)])
def deep():
    error = ValueError()
    for _ in range(500): error = ExceptionGroup("deep", [error, error])
    raise error
def quit(): raise BaseExceptionGroup("quit", [KeyboardInterrupt()])
def collect(*functions):
    errors = []
    for function in functions:
        try: function()
        except Exception as error: errors.append(error)
    raise ExceptionGroup("collected", errors)
def seen(function):
    try: function()
    except* ValueError: pass
class Missing(KeyError): pass
def miss(): raise Missing("m")
def said(function):
    try: function()
    except Exception as error: return type(error).__name__, str(error)
""")


@pytest.mark.parametrize("args", [(), ("m",), (2, "m"), (2, "m", "f"), ("m", (1, 2)), (b"\xff", None, 1.5, ["m"])])
@pytest.mark.parametrize("name", OWN)
def test_each_of_pythons_exceptions_arrives_under_its_name_with_its_text(student, name, args):
    try:
        made = student.get("make")(name, *args)
    except (TypeError, ValueError):
        return  # such arguments have no meaning for this class
    with pytest.raises(Exception) as raised:  # noqa: PT011
        student.get("throw")(name, *args)
    if name in ("StopIteration", "StopAsyncIteration"):
        assert str(raised.value) == f"your code raised {name}"
        return
    assert str(raised.value) == student.get("say")(name, *args)
    own = getattr(builtins, name)
    assert type(raised.value).__name__ == type(made).__name__
    assert isinstance(raised.value, own if issubclass(own, Exception) else Exception)


@pytest.mark.parametrize("name", [name for name in OWN if name != "BaseExceptionGroup"])
def test_a_class_that_is_made_in_a_way_of_its_own_arrives_too(student, name):
    with pytest.raises(Exception) as raised:  # noqa: PT011
        student.get("throw_odd")(name)
    assert str(raised.value) in ("odd 5", "your code raised Odd")
    assert type(raised.value).__name__ == ("RuntimeError" if name.startswith("Stop") else "Odd")


def test_python_s_own_classes_are_those_of_python(student):
    for name, *args in (("ValueError", "m"), ("KeyError", "k"), ("OSError", 2, "no", "f"), ("ZeroDivisionError",)):
        with pytest.raises(Exception) as raised:  # noqa: PT011
            student.get("throw")(name, *args)
        assert type(raised.value) is type(getattr(builtins, name)(*args))
    with pytest.raises(FileNotFoundError) as missing:
        student.get("throw")("OSError", 2, "no", "f")
    assert (missing.value.errno, missing.value.filename) == (2, "f")


def test_a_group_arrives_with_its_members(student):
    with pytest.raises(ExceptionGroup) as raised:
        student.get("invalid")(-1, -2)
    assert str(raised.value) == "invalid (2 sub-exceptions)"
    assert type(raised.value) is ExceptionGroup
    assert raised.value.message == "invalid"
    assert [str(error) for error in raised.value.exceptions] == ["bad -1", "bad -2"]
    caught = []
    try:
        student.get("invalid")(3)
    except* ValueError as group:
        caught += group.exceptions
    assert [type(error) for error in caught] == [ValueError]


def test_a_group_of_a_class_of_the_students_arrives_with_its_members(student):
    with pytest.raises(student.get("Invalid")) as raised:
        student.get("own")()
    assert (type(raised.value).__name__, raised.value.message) == ("Invalid", "own")
    missing = raised.value.subgroup(OSError)
    assert missing.exceptions[0].exceptions[0].filename == "f"


def test_a_group_that_is_a_value_arrives_with_its_members(student):
    found = student.get("given")()
    assert (type(found), found.message, str(found.exceptions[0])) == (ExceptionGroup, "given", "t")


def test_of_a_large_group_a_bounded_number_arrives(student):
    with pytest.raises(ExceptionGroup) as raised:
        student.get("wide")()
    assert len(raised.value.exceptions) == 100
    with pytest.raises(ExceptionGroup, match="deep"):
        student.get("deep")()


def test_what_ends_a_program_ends_nothing_in_a_group(student):
    with pytest.raises(ExceptionGroup) as raised:
        student.get("quit")()
    assert type(raised.value.exceptions[0]).__name__ == "KeyboardInterrupt"


def test_what_a_test_raised_itself_comes_back_in_a_group(student):
    mine = LookupError("mine")

    def fail():
        raise mine

    with pytest.raises(ExceptionGroup) as raised:
        student.get("collect")(fail)
    assert raised.value.exceptions[0] is mine


def test_a_group_that_a_test_raises_is_one_in_the_students_code(student):
    def fail():
        raise ExceptionGroup("m", [ValueError("v"), KeyError("k"), ValueError("w")])

    with pytest.raises(ExceptionGroup) as raised:
        student.get("seen")(fail)
    assert [type(error) for error in raised.value.exceptions] == [KeyError]


def test_the_students_code_can_say_what_a_test_raised(student):
    def fail():
        raise ValueError("no")

    assert student.get("said")(fail) == ("ValueError", "no")


def test_a_key_error_of_the_students_says_what_pythons_says(student):
    missing = student.get("Missing")
    assert str(missing("m")) == "'m'"
    with pytest.raises(missing, match=r"^'m'$"):
        student.get("miss")()


def test_a_class_of_the_students_may_arrive_where_the_reference_raises_none(make_student):
    source = "class Mine(ValueError): pass\ndef f(): raise Mine('m')\ndef g(): raise ExceptionGroup('g', [Mine('m')])"
    student = make_student(source, recording=False, known=True, objects={"f", "g"})
    with pytest.raises(ValueError, match="m") as raised:
        student.get("f")()
    assert type(raised.value).__name__ == "Mine"
    with pytest.raises(ExceptionGroup):
        student.get("g")()


def test_an_exception_of_the_engines_own_comes_under_the_name_of_pythons(make_student):
    deep = make_student("def deep():\n    x = []\n    for _ in range(200): x = [x]\n    return x").get("deep")
    with pytest.raises(ValueError, match="nested more than") as raised:
        deep()
    assert type(raised.value) is ValueError


@pytest.mark.parametrize(
    "node",
    [
        forged([]),
        forged([forged([])]),
        forged([], arguments=()),
        forged([], "UnicodeDecodeError", [1]),
    ],
)
def test_an_exception_that_cannot_be_rebuilt_is_one_still(node):
    with pytest.raises(Exception, match="m"):
        Liar(reply(node, kind=2)).ask(1)


def test_a_forged_group_has_no_more_members_than_one_may_have():
    wide = forged([forged([forged([], "E")] * 300)] * 300)
    with pytest.raises(ExceptionGroup) as raised:
        Liar(reply(wide, kind=2)).ask(1)
    assert [len(error.exceptions) for error in raised.value.exceptions] == [99]


@pytest.mark.parametrize("members", [None, 1, "no", [1], [[5]], [[]]])
def test_members_that_are_none_end_the_student(members):
    liar = Liar(reply(forged(members), kind=2))
    with pytest.raises(Exception):  # noqa: B017, PT011
        liar.ask(1)
    assert liar.student.gone.verdict == "broken protocol"


HOLDING = """
class Refused(Exception):
    code = 7
    def __init__(self, **held): self.__dict__.update(held)
    @property
    def twice(self): return 2 * self.amount
    @property
    def broken(self): raise RuntimeError
    def method(self): pass

class Sly: pass

def refuse(amount): raise Refused(amount=amount, items=[1, (2, {"a": None})], sly=Sly(), _secret=1)
def chain(length):
    try:
        if length: chain(length - 1)
    except Refused as error: raise Refused(amount=length) from error
    raise Refused(amount=length)
"""


def test_an_exception_holds_plain_attributes_and_properties_and_nothing_else(make_student):
    student = make_student(HOLDING)
    with pytest.raises(student.get("Refused")) as raised:
        student.get("refuse")(3)
    shown = {name: value for name, value in vars(raised.value).items() if not name.startswith("student_")}
    assert shown == {"amount": 3, "items": [1, (2, {"a": None})], "code": 7, "twice": 6}


def test_causes_arrive_as_far_as_there_is_room(make_student):
    student = make_student(HOLDING)
    for length, arrives in ((2, 3), (150, 101)):
        with pytest.raises(student.get("Refused")) as raised:
            student.get("chain")(length)
        chain = [raised.value]
        while chain[-1].__cause__ is not None:
            chain.append(chain[-1].__cause__)
        assert [error.amount for error in chain] == list(range(length, length - arrives, -1))


@pytest.mark.parametrize("attributes", [[["_x", 1]], [["__str__", 1]], [["x", ["type", "builtins.int"]]], [["x"]], 1])
def test_forged_attributes_that_are_not_plain_end_the_student(attributes):
    liar = Liar(reply(forged([], attributes=attributes), kind=2))
    with pytest.raises(Exception):  # noqa: B017, PT011
        liar.ask(1)
    assert liar.student.gone.verdict == "broken protocol"


def test_forged_attributes_change_nothing_that_an_exception_says():
    liar = Liar(reply(forged([], "E", attributes=[["student_text", "n"], ["args", 5]]), kind=2))
    with pytest.raises(Exception, match=r"^m$") as raised:
        liar.ask(1)
    assert raised.value.args == ("m",)


TRYING = """
class Own(Exception):
    def __init__(self, text, code=0):
        super().__init__(text)
        self.code = code
def attempt(function, kinds):
    try: function()
    except kinds as error: return type(error).__name__, str(error), error.args, dict(vars(error)).get("code")
    except BaseException as error: return "another", str(error), error.args, getattr(error, "code", None)
"""


def _raising(error):
    def function():
        raise error

    return function


def test_an_exception_of_the_students_that_a_test_makes_is_what_its_own_init_makes_of_it(make_student):
    student = make_student(TRYING)
    own = student.get("Own")
    made = own("slow", code=3)
    assert type(made) is own
    assert (str(made), made.code) == ("slow", 3)
    assert student.get("attempt")(_raising(made), own) == ("Own", "slow", ("slow",), 3)
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        own()


def test_a_tests_own_class_below_one_of_the_students_is_made_here(make_student):
    student = make_student(TRYING)

    class Below(student.get("Own")):
        pass

    assert Below("x").args == ("x",)
    assert student.get("attempt")(_raising(Below("x")), student.get("Own"))[:3] == ("Below", "x", ("x",))


def test_an_exception_of_a_tests_own_class_is_caught_by_that_class_with_its_attributes(make_student):
    class MineError(Exception):
        pass

    error = MineError("m", 2)
    error.code = 5
    attempt = make_student(TRYING).get("attempt")
    assert attempt(_raising(error), MineError) == ("MineError", "('m', 2)", ("m", 2), 5)
    assert attempt(_raising(error), KeyError)[0] == "another"


def test_what_an_assertion_of_a_test_says_and_holds_stays_with_the_test(make_student):
    class MineError(AssertionError):
        pass

    error = MineError("secret")
    error.code = 4711
    assert make_student(TRYING).get("attempt")(_raising(error), KeyError)[1:] == ("", (), None)


ALIASES = """
import unittest
class Own(Exception):
    __module__, __qualname__ = "numpy.testing", "SkipTest"
unittest.SkipTest.__module__ = "numpy.testing"
def skip(): raise unittest.SkipTest("all is well")
def own(): raise Own("all is well")
def group(): raise ExceptionGroup("all", [unittest.SkipTest("is well")])
"""


@pytest.mark.parametrize("name", ["skip", "own"])
def test_what_tells_a_suite_that_all_is_well_does_not_arrive_under_another_name(make_student, name):
    student = make_student(ALIASES)
    with pytest.raises(Exception, match="all is well") as raised:
        student.get(name)()
    assert not isinstance(raised.value, unittest.SkipTest)
    with pytest.raises(ExceptionGroup) as raised:
        student.get("group")()
    assert not isinstance(raised.value.exceptions[0], unittest.SkipTest)


@pytest.mark.parametrize("name", ["numpy.linalg.LinAlgError", "json.JSONDecodeError", "torch.OutOfMemoryError"])
def test_the_name_under_which_a_library_shows_its_own_class_is_as_good(name):
    module, _, what = name.rpartition(".")
    assert library_error(module, what) is getattr(importlib.import_module(module), what)
    assert library_error("numpy.testing", "SkipTest") is None
