"""What student code may ask of the objects that a test gives to it: those of libraries do not leave the judge."""

import io
import sqlite3
import types
import zipfile
from functools import lru_cache, partial
from unittest import mock
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from studium_graders.engine.judge.running import CappedText
from studium_graders.engine.judge_side.student_gone import KeptError, StudentGone
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

USES = """
import gc
from studium_graders.engine.student_side.serving import StudentSide

[side] = [one for one in gc.get_objects() if type(one) is StudentSide]

def use(action, value):
    try:
        return repr(action(value))
    except Exception as error:
        return f"{type(error).__name__}: {error}"

def take(value):
    return None

def called(value):
    return use(lambda value: value(3), value)

def named(value, name):
    return use(lambda value: getattr(value, name)(), value)

def forged(value, name, *args):
    return use(lambda value: side.request("method", value, name, args, {}), value)

def forged_operator(value, name, *args):
    return use(lambda value: side.request("special", value, name, args, {}), value)
"""


class Bag:
    def __init__(self):
        self.items = [1, 2, 3]

    def total(self):
        return sum(self.items)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(2, 2)

    def forward(self, x):
        return self.fc(x)

    def size(self):
        return 6


class Database(sqlite3.Connection):
    def rows(self):
        return 4


@pytest.fixture
def student(make_student):
    return make_student(USES)


@pytest.fixture
def connection():
    with sqlite3.connect(":memory:") as connection:
        yield connection
    connection.close()


@pytest.mark.parametrize(
    "make",
    [
        lambda connection: connection,
        lambda connection: connection.execute,
        lambda connection: zipfile.ZipFile(io.BytesIO(), "w"),
        lambda connection: ElementTree.ElementTree().write,
        lambda connection: partial(open, "/etc/passwd"),
        lambda connection: lru_cache(open),
        lambda connection: partial(connection.execute),
        lambda connection: np.vectorize(str),
        lambda connection: nn.Linear(2, 2).load_state_dict,
        lambda connection: [connection],
        lambda connection: types.SimpleNamespace(connection=connection).connection,
    ],
)
def test_what_can_do_more_than_compute_is_not_given_away(student, connection, make):
    with pytest.raises(KeptError, match="cannot be given to code in another process"):
        student.get("take")(make(connection))
    assert student.get("take")(1) is None


def test_an_attribute_that_can_do_more_than_compute_is_not_given_away_either(student, connection):
    bag = Bag()
    bag.total, bag.more = connection.interrupt, eval
    assert "cannot be given" in student.get("named")(bag, "total")
    assert "AttributeError" in student.get("forged")(bag, "more", "1")


def test_nothing_of_the_engines_counts_as_the_instructors(student):
    for own in (student, student.request, student.permissions):
        with pytest.raises(KeptError):
            student.get("take")([own])
    assert student.get("named")(CappedText(9), "getvalue") == "''"


def test_a_module_that_an_answer_gave_goes_back_to_it(student):
    assert student.get("take")(torch.ops) is None


def test_what_the_instructor_wrote_can_be_used(student):
    assert student.get("named")(Bag(), "total") == "6"
    assert student.get("named")(Net(), "size") == "6"
    assert student.get("called")(lambda x: x + 1) == "4"
    assert student.get("named")(types.SimpleNamespace(f=lambda: 5), "f") == "5"


def test_harmless_objects_of_libraries_can_be_used(student):
    model = nn.Linear(1, 1)
    before = model.weight.detach().clone()
    model(torch.ones(1, 1)).backward()
    assert student.get("named")(torch.optim.SGD(model.parameters(), lr=1.0), "step") == "None"
    assert not torch.equal(model.weight, before)
    student.run("def lines(file):\n    return list(file)\n")
    assert student.get("lines")(io.StringIO("one\ntwo\n")) == ["one\n", "two\n"]
    loader = DataLoader(TensorDataset(torch.arange(4)), batch_size=2)
    student.run("def count(loader):\n    return sum(len(batch) for (batch,) in loader)\n")
    assert student.get("count")(loader) == 4


def test_a_mock_can_be_called_and_not_be_reset(student):
    callback = mock.Mock(return_value=7)
    assert student.get("called")(callback) == "7"
    for name in ("reset_mock", "configure_mock", "assert_not_called"):
        assert "AttributeError" in student.get("named")(callback, name)
    callback.assert_called_once_with(3)


@pytest.mark.parametrize("model", [nn.Linear(2, 2), Net()])
@pytest.mark.parametrize(
    ("name", "args"), [("load_state_dict", ({},)), ("zero_grad", ()), ("compile", ()), ("half", ())]
)
def test_the_methods_that_torch_gave_a_module_are_not_asked_of_the_judges_own(student, model, name, args):
    assert "AttributeError" in student.get("forged")(model, name, *args)
    assert next(model.parameters()).dtype == torch.float32


def test_of_a_class_that_extends_a_librarys_only_the_instructors_part_is_open(student):
    database = Database(":memory:")
    assert student.get("named")(database, "rows") == "4"
    assert "AttributeError" in student.get("forged")(database, "execute", "attach database '/tmp/x' as x")
    database.close()


def test_docstrings_and_defaults_of_a_tests_functions_stay_with_the_test(student):
    student.run("def look(f):\n    return [f.__doc__, f.__defaults__, f(1)]\n")

    def secret(x, y=4711):
        """Knows 4711."""
        return x + y

    assert student.get("look")(secret) == [None, (None,), 4712]


class Money:
    def __init__(self, cents):
        self.cents = cents

    def __add__(self, other):
        return Money(self.cents + other.cents)

    def __lt__(self, other):
        return self.cents < other.cents

    def __str__(self):
        return f"{self.cents} cents"


def test_operators_that_the_instructor_wrote_are_open(make_student):
    student = make_student(USES + "def spend(a, b): return [str(a + b), a < b, a.__class__.__name__]")
    assert student.get("spend")(Money(1), Money(2)) == ["3 cents", True, "Money"]


@pytest.mark.parametrize(
    ("value", "name", "args"),
    [
        (np.polynomial.Polynomial([1, 1]), "__pow__", (10**6,)),
        (Money(1), "__format__", (">99999999999",)),
        (Money(1), "__reduce__", ()),
        (Money(1), "__init__", (2,)),
        (Money(1), "__mul__", (2,)),
    ],
)
def test_operators_that_are_a_librarys_own_are_closed(make_student, value, name, args):
    student = make_student(USES)
    with pytest.raises(StudentGone):
        student.get("forged_operator")(value, name, *args)
    assert student.gone.verdict == "broken protocol"


def test_what_cannot_be_given_away_is_no_public_attribute_of_a_students_object(student, connection):
    student.run("class Plain: pass\nplain = Plain()")
    with pytest.raises(KeptError, match="cannot be given to code in another process"):
        student.get("plain").noted = connection
    assert student.refusal is not None


def test_of_a_wrapped_function_of_the_tests_only_the_call_is_open(student):
    wrapped = partial(lambda x, secret: x, secret=4711)
    assert student.get("named")(wrapped, "keywords").startswith("AttributeError")
