"""Values there and back."""

from __future__ import annotations

import datetime
import random
import sys
import uuid
from collections import Counter, OrderedDict, defaultdict, deque
from decimal import Decimal
from fractions import Fraction
from types import ModuleType

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as stn
from studium_graders.engine.wire.codec import RefusedError

ECHO = "import copy\ndef echo(value):\n    return copy.deepcopy(value)\n"

PLAIN = (
    st.none()
    | st.booleans()
    | st.integers(-(2**200), 2**200)
    | st.floats()
    | st.complex_numbers()
    | st.text(st.characters(exclude_categories=()), max_size=8)
    | st.binary(max_size=8)
)
KEYS = PLAIN | st.tuples(PLAIN, PLAIN)
MORE = st.dates() | st.datetimes() | st.times() | st.timedeltas() | st.uuids() | st.fractions()
VALUES = st.recursive(
    PLAIN | MORE | stn.arrays(st.sampled_from(["<f8", "<i4", "?", "<c8", "<U3"]), stn.array_shapes(min_side=0)),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(KEYS, inner, max_size=4)
        | st.frozensets(KEYS, max_size=4)
        | st.lists(inner, max_size=3).map(tuple)
    ),
    max_leaves=12,
)


@pytest.fixture(scope="module")
def echo_student(shell):
    from .forking import Forked

    running = Forked(shell)
    yield running.student(ECHO)
    running.kill()


def same(one, other):
    """Whether two values are equal, with NaN equal to itself and of the same types throughout."""
    if type(one) is not type(other):
        return False
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
    if isinstance(one, torch.Tensor):
        return one.dtype == other.dtype and one.requires_grad == other.requires_grad and repr(one) == repr(other)
    if isinstance(one, dict):
        return same([*one.items()], [*other.items()])
    if isinstance(one, list | tuple | deque):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, frozenset):
        return sorted(map(repr, one)) == sorted(map(repr, other))
    return repr(one) == repr(other) if isinstance(one, float | complex | np.generic) else one == other


@settings(max_examples=60, deadline=None)
@given(VALUES)
def test_a_value_comes_back_as_it_is(echo_student, value):
    with echo_student.test(frozenset()) as watched:
        assert same(echo_student.get("echo")(value), value)
    assert watched.refusal is None


VARIOUS = [
    range(2, 20, 3),
    slice(1, None, 2),
    deque([1, 2], maxlen=3),
    OrderedDict(b=1, a=2),
    defaultdict(list, {1: [2]}),
    Counter("abca"),
    bytearray(b"abc"),
    {1, "a", (2, 3)},
    Decimal("1.50"),
    Fraction(10**30, 7),
    uuid.UUID(int=5),
    datetime.datetime(2024, 1, 2, tzinfo=datetime.UTC),
    np.float32(1.5),
    np.datetime64("2024-01-01"),
    np.array("text"),
    np.dtype("<i8"),
    torch.tensor([[1.0, 2.0]], dtype=torch.bfloat16),
    torch.tensor(True),
    torch.randn(3, 4).T,
    torch.ones(1).expand(5),
    torch.zeros(0, 3),
    torch.float64,
    torch.Size([2, 3]),
    torch.device("cpu"),
    torch.tensor([3, 1, 2]).sort(),
    10**4000,
    "\ud800",
    "x" * 10_000,
    b"x" * 10_000,
]


def test_various_values_come_back_as_they_are(echo_student):
    for value in VARIOUS:
        with echo_student.test(frozenset()) as watched:
            assert same(echo_student.get("echo")(value), value), type(value)
        assert watched.refusal is None, type(value)


def test_what_is_one_object_or_holds_itself_is_so_on_both_sides(echo_student):
    inner = [1]
    value = {"a": inner, "b": [inner, torch.ones(2)]}
    value["self"] = [value]
    with echo_student.test(frozenset()):
        back = echo_student.get("echo")(value)
    assert back["a"] is back["b"][0]
    assert back["self"][0] is back


def test_generators_come_back_in_their_state(echo_student):
    here, there = torch.Generator().manual_seed(3), random.Random(4)
    torch.rand(5, generator=here)
    with echo_student.test(None):
        first, second, third = echo_student.get("echo")((here.clone_state(), there, np.random.default_rng(5)))
    assert third.random(3).tolist() == np.random.default_rng(5).random(3).tolist()
    assert torch.equal(torch.rand(3, generator=first), torch.rand(3, generator=here))
    assert second.random() == there.random()


@pytest.mark.parametrize(
    "cell",
    [
        "class L(list): pass\ndef f(): return L([1])",
        "import enum\nclass C(enum.Enum):\n    A = 1\ndef f(): return C.A",
        "class O: pass\ndef f(): return [O()]",
        "def f(): return (n for n in [1])",
        "import numpy as np\ndef f(): return np.array([object()])",
        "import torch\ndef f(): return torch.ones(3).to_sparse()",
        "def f(): return {frozenset([(1, C())]): 2}\nclass C: pass",
        "class I(int):\n    def __eq__(self, other): return True\n    __hash__ = int.__hash__\ndef f(): return I(3)",
        "def f(): return 10 ** 10_000",
        "def f(): return print",
    ],
)
def test_a_subclass_and_all_the_rest_stay_with_the_student(make_student, cell):
    student = make_student(cell)
    with student.test(None) as watched:
        student.get("f")()
    assert "remote" in watched.noted
    with student.test(frozenset()) as watched, pytest.raises(RefusedError, match="an object of its own"):
        student.get("f")()
    assert watched.refusal is not None


def test_an_object_of_a_class_inside_another_of_both_sides_stays_with_the_student(make_student):
    """The judge could not find such a class by its name."""
    source = (
        "from studium_topics import kits\nclass Outer:\n    class Inner: pass\nOuter.Inner.__module__ = kits.__name__"
    )
    student = make_student(f"{source}\ndef make(): return Outer.Inner()\n")
    with student.test(None) as watched:
        student.get("make")()
    assert watched.noted == {"remote"}


def test_printed_output_comes_with_each_reply(make_student, capsys):
    student = make_student("import sys\ndef f():\n    print('a')\n    print('b', file=sys.stderr)\n    return 1")
    with student.test(frozenset()):
        assert student.get("f")() == 1
    assert capsys.readouterr() == ("a\n", "b\n")


def test_modes_hold_for_a_request(make_student):
    student = make_student(
        """
        import numpy as np, torch
        def f(): return torch.is_grad_enabled(), str(torch.get_default_dtype()), np.geterr()["divide"]
        """
    )
    with student.test(frozenset()):
        f = student.get("f")
        with torch.no_grad(), np.errstate(divide="raise"):
            assert f() == (False, "torch.float32", "raise")
        assert f() == (True, "torch.float32", "warn")


def test_random_numbers_are_those_of_the_test(make_student):
    student = make_student(
        "import random, torch, numpy as np\ndef f(): return random.random(), np.random.rand(), torch.rand(()).item()"
    )
    with torch.random.fork_rng(devices=[]), student.test(frozenset()):
        f = student.get("f")
        torch.manual_seed(5)
        np.random.seed(5)
        random.seed(5)
        first, second = f(), f()
        torch.manual_seed(5)
        np.random.seed(5)
        random.seed(5)
        assert first == (random.random(), np.random.rand(), torch.rand(()).item())
        assert first != second
        torch.manual_seed(5)
        after = torch.rand(())
        torch.manual_seed(5)
        f()
        assert torch.rand(()) != after  # moved on, by a secret


def test_a_cell_shows_what_it_showed_and_says_its_error(make_student):
    ran = make_student().run("print('x')\n1 / 0")
    assert ran.error == "ZeroDivisionError: division by zero"
    assert [output["output_type"] for output in ran.outputs] == ["stream", "error"]


def test_a_cell_sees_what_earlier_cells_gave(make_student):
    student = make_student()
    student.run("40 + 2")
    assert not student.run("assert _ == 42 and In[1] == '40 + 2'").error


def test_what_given_cells_define_is_one_class_on_both_sides(make_student, monkeypatch):
    cell = "class Point:\n    def __init__(self, x): self.x = x\n    def double(self): return 2 * self.x\n"
    module = ModuleType("given")
    exec(cell, vars(module))
    monkeypatch.setitem(sys.modules, "given", module)
    student = make_student("def moved(p): return Point(p.x + 1)\nPoint2 = Point", given=cell)
    with student.test(None) as watched:
        moved = student.get("moved")(module.Point(4))
        assert type(moved) is module.Point
        assert moved.double() == 10
    assert watched.noted == {"object given.Point"}
    with student.test(frozenset()) as watched, pytest.raises(RefusedError):
        student.get("moved")(module.Point(4))


def test_members_and_fields_of_given_classes_are_the_judges_own(make_student, monkeypatch):
    cell = """
from dataclasses import dataclass
from enum import Enum
class Colour(Enum):
    RED = 1
@dataclass
class Holder:
    held: list | None = None
"""
    module = ModuleType("given")
    monkeypatch.setitem(sys.modules, "given", module)
    exec(cell, vars(module))
    student = make_student("def f(colour): return colour, Holder([1])", given=cell)
    with student.test(None) as watched:
        colour, holder = student.get("f")(module.Colour.RED)
    assert colour is module.Colour.RED
    assert holder == module.Holder([1])
    assert watched.noted == {"object given.Colour", "object given.Holder"}


def test_given_data_that_a_test_reads_is_an_argument_of_each_call(make_student):
    student = make_student("def f(): data.append(4)", given="data = [1]")
    data = [1]
    with student.test(None, reads={"data": data}) as watched:
        student.get("f")()
    assert (data, watched.noted) == ([1, 4], {"changes"})


def test_a_name_that_is_not_there_is_a_name_error(make_student):
    student = make_student()
    with student.test(frozenset()), pytest.raises(NameError, match="name 'f' is not defined"):
        student.get("f")
