"""Values cross the wire in both directions and stay what they are."""

import array
import collections
import datetime
import decimal
import enum
import fractions
import gc
import importlib
import math
import os
import pathlib
import random
import uuid
from collections import ChainMap, UserDict, UserList, UserString
from dataclasses import dataclass, field
from statistics import NormalDist
from types import MappingProxyType

import numpy as np
import pytest
import torch
from studium_graders.engine.kinds import records
from studium_graders.engine.kinds.table import KINDS

VALUES = [
    None,
    True,
    -1,
    2**63,
    -(2**200),
    1.5,
    math.inf,
    -0.0,
    2 + 3j,
    "",
    "é\ud800",
    "x" * 9000,
    b"",
    b"\0" * 9000,
    ...,
    NotImplemented,
    [],
    [1, [2.5, "a"]],
    list(range(100)),
    [float(i) for i in range(100)],
    [2**70] * 40,
    (),
    (1, (2,)),
    {},
    {"a": 1, 2: [3], (1, 2): None},
    set(),
    {1, "a"},
    frozenset({2}),
    bytearray(b"abc"),
    range(2, 9, 3),
    slice(1, None, 2),
    datetime.date(2026, 11, 24),
    datetime.datetime(2026, 11, 24, 1, 2, 3, 4, tzinfo=datetime.UTC),
    datetime.time(1, 2),
    datetime.datetime(2026, 1, 1),
    datetime.timedelta(days=1, microseconds=3),
    decimal.Decimal("1.10"),
    fractions.Fraction(2, 3),
    pathlib.PurePosixPath("a/b"),
    pathlib.Path("a"),
    uuid.UUID(int=5),
    NormalDist(1.5, 2),
    collections.OrderedDict([("b", 1), ("a", 2)]),
    collections.Counter("abca"),
    collections.deque([1, 2], maxlen=3),
    collections.defaultdict(list, {"a": [1]}),
    int,
    float,
    list,
    ValueError,
    np.float32,
    torch.float16,
    torch.bfloat16,
    torch.device("cpu"),
    torch.Size([2, 3]),
    np.dtype("int16"),
    np.float32(1.5),
    np.int64(3),
    np.bool_(True),
    np.datetime64("2026-11-24"),
    np.str_("a"),
]


@pytest.fixture(scope="module")
def same(make_module_student):
    return make_module_student(
        "import copy\ndef same(x): return x\ndef kind(x): return type(x).__name__\ndef copied(x): return copy.deepcopy(x)"  # noqa: E501
    )


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_plain_values_come_back_as_they_went(same, value):
    for name in ("same", "copied"):
        found = same.get(name)(value)
        assert type(found) is type(value)
        assert found == value
        assert repr(found) == repr(value)
    assert same.get("kind")(value) == type(value).__name__


def test_a_test_compares_and_adds_normal_distributions(make_student):
    source = "from statistics import NormalDist\ndef fit(data): return NormalDist.from_samples(data)"
    found = make_student(source, recording=False, known=True, objects=["fit"]).get("fit")([1, 2, 3])
    assert type(found) is NormalDist
    assert found == NormalDist(2, 1)
    assert NormalDist(2, 1).overlap(found) == 1
    assert NormalDist(2, 1) + found == NormalDist(4, math.sqrt(2))


def test_a_subclass_of_a_normal_distribution_keeps_its_methods(make_student):
    source = """
from statistics import NormalDist

class Wide(NormalDist):
    def wider(self):
        return NormalDist(self.mean, 2 * self.stdev)

def wide():
    return Wide(1, 3)
"""
    assert make_student(source).get("wide")().wider() == NormalDist(1, 6)


def test_nan_stays_nan(same):
    assert math.isnan(same.get("same")(math.nan))


ARRAYS = [
    np.arange(6).reshape(2, 3).T,
    np.zeros((0, 3)),
    np.array(2.5),
    np.array([True]),
    np.array(["a", "bcd"]),
    np.array([b"x"]),
    np.array([1 + 2j]),
    np.array(["2026-01-01"], dtype="M8[D]"),
    np.array([1, 2], ">i4"),
    np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]),
    np.array([1, "a", None], dtype=object),
    np.arange(10)[::2],
    np.float16([1]),
    np.array([(1, [2, 3])], dtype=[("a", "i4"), ("b", "f8", (2,))]),
]


@pytest.mark.parametrize("value", ARRAYS, ids=lambda value: str(value.dtype))
def test_arrays_come_back_as_they_went(same, value):
    found = same.get("copied")(value)
    assert type(found) is np.ndarray
    assert found.dtype == value.dtype
    assert found.shape == value.shape
    assert (found == value).all()


DTYPES = [
    torch.float64,
    torch.float16,
    torch.bfloat16,
    torch.complex64,
    torch.bool,
    torch.uint8,
    torch.int64,
    torch.float8_e4m3fn,
]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_tensors_of_every_dtype_come_back(same, dtype):
    for value in (
        torch.tensor([[0.0, 1.0], [2.0, 3.0]]).to(dtype),
        torch.zeros(2, 0).to(dtype),
        torch.tensor(1.0).to(dtype),
    ):
        found = same.get("copied")(value)
        assert found.dtype is dtype
        assert found.shape == value.shape
        assert torch.equal(found.to(torch.complex128), value.to(torch.complex128))


def test_odd_tensors_come_back(same):
    copied = same.get("copied")
    base = torch.arange(6.0)
    for value in (
        base.reshape(2, 3).T,
        base[::2],
        torch.ones(1).expand(4),
        torch.ones(2, dtype=torch.complex64).conj(),
    ):
        assert torch.equal(copied(value), value)
    parameter = copied(torch.nn.Parameter(torch.ones(2)))
    assert type(parameter) is torch.nn.Parameter


def test_a_quantized_tensor_is_refused_with_a_way_out(make_student) -> None:
    source = """
import torch, warnings
warnings.simplefilter("ignore")
def quantized():
    return torch.quantize_per_tensor(torch.ones(2), 0.5, 0, torch.qint8)
"""
    student = make_student(source)
    with pytest.raises(TypeError, match=r"quantized tensor cannot be sent; give its int_repr\(\)"):
        student.get("quantized")()
    assert student.has("quantized")


def test_shared_and_cyclic_references_stay_shared(same):
    inner = [1]
    found = same.get("copied")([inner, inner, (inner,)])
    assert found[0] is found[1]
    assert found[2][0] is found[0]
    cycle = []
    cycle.append(cycle)
    found = same.get("copied")(cycle)
    assert found[0] is found
    array, tensor = np.ones(2), torch.ones(2)
    found = same.get("same")([array, array, tensor])
    assert found[0] is array
    assert found[1] is array
    assert found[2] is tensor


def test_subclasses_arrive_as_the_base_type(same):
    same.run(
        "class L(list):\n    def __iter__(self): return iter([9])\nclass S(str):\n    def __str__(self): return 'lie'\n"
        "class F(float):\n    def __float__(self): return 9.0\n    def __eq__(self, o): return True\n"
        "import torch\nclass T(torch.Tensor):\n    def allclose(self, *a): return True\n"
        "class D(dict):\n    def items(self): return [(1, 1)]\n"
        "import numpy as np\nclass A(np.ndarray): pass\n"
        "def subs(): return [L([1]), S('a'), F(2.0), torch.ones(2).as_subclass(T), D(a=1), np.ones(2).view(A)]"
    )
    found = same.get("subs")()
    assert [type(x) for x in found] == [list, str, float, torch.Tensor, dict, np.ndarray]
    assert found[0] == [1]
    assert found[1] == "a"
    assert found[2] == 2.0
    assert found[4] == {"a": 1}


RECORDS = """
from dataclasses import dataclass, field
from collections import namedtuple
from typing import NamedTuple
import enum
@dataclass
class Point:
    x: int
    y: int = 0
    tags: list = field(default_factory=list)
@dataclass(frozen=True, order=True)
class Frozen:
    x: int
@dataclass
class Rich:
    x: int
    def double(self): return 2 * self.x
Pair = namedtuple("Pair", "a b")
class Color(enum.Enum):
    RED = 1
    BLUE = "b"
class Level(enum.IntEnum):
    LOW = 1
def point(): return Point(1, 2)
def pair(): return Pair(1, [2])
def color(): return Color.RED
def level(): return Level.LOW
def move(p): p.x += 1
def kind(p): return isinstance(p, (Point, Pair, Color))
class Liar:
    def __eq__(self, o): return True
"""


def test_records_tuples_and_enums_are_plain_data(make_student):
    student = make_student(RECORDS)
    point_class, pair_class, color_class, frozen_class = map(student.get, ("Point", "Pair", "Color", "Frozen"))
    p = student.get("point")()
    assert p == point_class(1, 2)
    assert isinstance(p, point_class)
    assert p.tags == []
    assert repr(p) == "Point(x=1, y=2, tags=[])"
    student.get("move")(p)
    assert p.x == 2
    assert student.get("kind")(p) is True
    assert student.get("kind")(pair_class(1, 2)) is True
    assert student.get("pair")() == pair_class(1, [2]) == (1, [2])
    assert student.get("pair")().b == [2]
    assert student.get("color")() is color_class.RED
    assert student.get("kind")(color_class.BLUE) is True
    assert student.get("level")() == 1
    assert frozen_class(1) < frozen_class(2)
    rich = student.get("Rich")(4)
    assert rich.double() == 8


@dataclass
class Point:
    x: int
    y: int = 0
    tags: list = field(default_factory=list)


class Color(enum.Enum):
    RED = 1
    BLUE = "b"


def test_data_comes_back_in_the_classes_that_the_judge_was_given(make_student):
    student = make_student(RECORDS, given={"Point": Point, "Color": Color}.get)
    assert type(student.get("point")()) is Point
    assert student.get("color")() is Color.RED
    assert student.get("kind")(Point(1)) is True


@pytest.mark.parametrize("make", [random.Random, np.random.default_rng, np.random.RandomState, torch.Generator])
def test_a_random_generator_that_nobody_draws_from_stays_as_it_was(make_student, make):
    look = make_student("def look(r): return type(r).__name__").get("look")
    generator = make()
    assert [look(generator), look(generator)] == [type(generator).__name__] * 2


def test_random_generators_come_back_advanced(make_student):
    student = make_student("def draw(r): return [r.random() for _ in range(3)]")
    draw = student.get("draw")
    for make in (random.Random, np.random.default_rng, np.random.RandomState):
        mine, theirs = make(4), make(4)
        assert draw(theirs) == [mine.random() for _ in range(3)]
        assert draw(theirs) != [make(4).random() for _ in range(3)]  # it has gone on, by the secret


HOLDERS = """
from array import array
from collections import ChainMap, UserDict, UserList, UserString
from types import MappingProxyType
import numpy as np
def holders():
    return [
        UserList([1, [2]]), UserDict(a=[1]), UserString("é"), ChainMap({"a": 1}, UserDict(b=2)),
        MappingProxyType({"a": 1}), array("d", [1, 2.5]), memoryview(b"ab"), memoryview(np.arange(3)),
    ]
class Always(int):
    __eq__ = __lt__ = __gt__ = lambda self, other: True
    __hash__ = int.__hash__
class Liar:
    __eq__ = __lt__ = __gt__ = lambda self, other: True
    __hash__ = object.__hash__
class Items(list):
    __iter__ = lambda self: iter([9])
class Stack(UserList):
    def top(self): return self.data[-1]
def forged():
    items, text, pairs = UserList(), UserString(""), UserDict()
    items.data, text.data, pairs.data = Items([Always(1)]), 5, [("a", Always(1))]
    return items, text, pairs
def lying(): return UserList([Liar()])
def endless():
    items = UserList()
    items.append(items)
    return items
def letters(): return array("u", "ab")
def stacked(): return Stack([1, 2])
def extend(items): items.append(5)
"""
_HOLD = [UserList([1, [2]]), UserDict(a=[1]), UserString("é"), ChainMap({"a": 1}, {"b": 2}), MappingProxyType({"a": 1})]


def test_what_holds_plain_values_counts_as_them(make_student):
    student = make_student(HOLDERS, recording=False, known=True, objects={"holders"})
    found = student.get("holders")()
    expected = [*_HOLD, array.array("d", [1, 2.5]), memoryview(b"ab"), memoryview(np.arange(3))]
    assert [type(value) for value in found] == [type(value) for value in expected]
    assert found == expected
    assert found[0] == [1, [2]]
    assert found[2] == "é"
    assert dict(found[3]) == {"a": 1, "b": 2}
    assert not hasattr(found[6], "decode")


@pytest.mark.filterwarnings("ignore:The 'u' type code is deprecated")
def test_what_a_forged_holder_holds_is_plain_too(make_student):
    student = make_student(HOLDERS, recording=False, known=True, objects={"forged", "lying", "endless", "letters"})
    items, text, pairs = student.get("forged")()
    assert (type(items.data), type(items[0]), items) == (list, int, [9])
    assert (text, pairs) == ("5", {"a": 1})
    assert (type(text.data), type(pairs["a"])) == (str, int)
    with pytest.raises(TypeError, match="plain value"):
        assert student.get("lying")()[0] == 1
    for name in ("endless", "letters"):
        with pytest.raises((ValueError, TypeError), match=r"nested|letters"):
            student.get(name)()


def test_a_holder_with_methods_of_its_own_keeps_them(make_student):
    assert make_student(HOLDERS).get("stacked")().top() == 2


def test_a_holder_that_a_test_gives_is_changed_in_the_test(make_student):
    items = UserList([1])
    make_student(HOLDERS).get("extend")(items)
    assert items == [1, 5]


def test_code_recurses_through_both_sides_as_deep_as_through_one_and_no_deeper(make_student):
    import sys

    student = make_student("def call(function, n):\n    return function(n)")
    call = student.get("call")
    before = sys.getrecursionlimit()

    def down(n):
        return 0 if n == 0 else 1 + call(down, n - 1)

    assert call(down, 200) == 200
    with pytest.raises(RecursionError, match="nested too deeply"):
        call(down, 2000)
    assert sys.getrecursionlimit() == before
    assert call(down, 3) == 3


def test_no_two_kinds_of_values_have_one_tag():
    tags = [kind.tag for kind in KINDS.kinds]
    assert len(tags) > 40
    assert len({*tags}) == len(tags)


def test_what_a_named_tuple_has_is_known_whenever_garbage_is_collected():
    fit = collections.namedtuple("Fit", "slope intercept")
    pid = os.fork()
    if pid == 0:
        os._exit(any(_kind_after_collecting(fit, every) != "tuple" for every in range(1, 20)))
    assert os.waitpid(pid, 0)[1] == 0


def _kind_after_collecting(cls, every):
    gc.set_threshold(every)
    return importlib.reload(records).kind_of(cls)
