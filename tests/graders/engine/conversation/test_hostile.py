"""A student's process may send whatever it likes: the judge neither hangs nor crashes, nor does what it is told."""

import dataclasses
import time

import numpy as np
import pytest
import torch
from studium_graders.engine.judge_side.student_gone import StudentGone
from studium_graders.engine.material.assignment import Permission
from studium_graders.engine.material.limits import Limits
from studium_graders.engine.wire.channel import HEADER
from studium_graders.engine.wire.codec import RefusedError

from .liar import HANGING, Liar, frame, reply, request

CLASS = ["A", None, [], [], []]
LINEAR = [1, "Linear", [True, [], [], [], [], []]]
DATA = ["A", [["x", None, "", None]], [True, True, False]]
MALFORMED = [
    b"",
    b"\0" * 16,
    b"\xff" * 64,
    HEADER.pack(2**32 - 1, 0, 0),
    HEADER.pack(10, 2**32 - 1, 0),
    HEADER.pack(1, 1, 2**63),
    HEADER.pack(3, 0, 0) + b"\xdd\xff\xff",
    HEADER.pack(5, 0, 0) + b"\xdd\xff\xff\xff\xff",
    HEADER.pack(5, 0, 0) + b"\xdf\xff\xff\xff\xff",
    HEADER.pack(100_001, 0, 0) + b"\x91" * 100_000 + b"\xc0",
    *map(
        frame,
        (None, [], [1], [7, 1, None, None, [], []], {"a": 1}, [1, 1, [], [], [], 1], [1, 1, [], [], [None] * 9, 1]),
    ),
    reply(1, number=2),
    *map(reply, ([99], [[]], {"a": 1}, [None], [], ["nothing"], ["seen", 0], ["seen", -1], ["tuple", ["seen", 0]])),
    reply(["yours", 10**9]),
    reply(["mine", 1]),
    reply(["mine", -1, "function", []]),
    reply(["mine", 1, "function", ["f", "f", None, [[["1", 0, [], None]], None], None, False]]),
    reply(["mine", 1, "class", ["A", None, [], ["__getattribute__"], []]]),
    reply(["mine", 1], classes=[[1, "class", ["A", None, [], ["__getattribute__"], []]]]),
    reply(["mine", 1], classes=[[2, "class", CLASS]]),
    reply(["mine", 1], classes=[[1, "class", ["A", None, [["mine", 1]], [], []]]]),
    reply(["mine", -1], classes=[[-1, "class", CLASS]]),
    reply(["mine", 1], classes=[["1", "class", []]]),
    reply(["mine", 1], classes=[[1, "class"]]),
    reply(["mine", 1, "class", ["A", None, [["torch.nn.modules.module", "Proxy"]], [], []]]),
    reply(["mine", 1, "instance", [["mine", 1], ""]]),
    *map(reply, (["fraction", "1e30000000"], ["fraction", 1], ["uuid", 1.5], ["decimal", 1.5], ["date", 1])),
    reply(["library", "os", "system"]),
    reply(["library", "os"]),
    reply(["library", "studium_graders"]),
    reply(["type", "os.system"]),
    reply(["argument", 0, 99]),
    reply(["argument", 5, 0]),
    reply(["tensor", "leaf", True, 1]),
    reply(["tensor", "output", 0]),
    reply(["tensor", "entry", "1", "float32", [1], 0]),
    reply(["module", True, 1]),
    reply(["array", [1], "O", 0, False], buffers=[b"\0" * 8]),
    reply(["array", [2], "<f8", 0, False], buffers=[b"\0" * 8]),
    reply(["array", [2**40], "<f8", 0, False], buffers=[b""]),
    reply(["array", [2**40], "<U0", 0, False], buffers=[b""]),
    reply(["array", [-1], "<f8", 0, False], buffers=[b"\0" * 8]),
    reply(["array", [1], "f8,(3)i4", 0, False], buffers=[b"\0" * 8]),
    reply(["array", [1], [[["a", "O", 0]], 8, False], 0, False], buffers=[b"\0" * 8]),
    reply(["tensor", "plain", "qint8", [1], 0], buffers=[b"\0"]),
    reply(["tensor", "plain", "float32", [2**62], 0], buffers=[b"\0" * 4]),
    reply(["tensor", "plain", "float32", [1], 5], buffers=[b"\0" * 4]),
    reply(["torch dtype", "nothing"]),
    reply(
        [
            "numpy generator",
            True,
            [
                "dict",
                "bit_generator",
                "MT19937",
                "state",
                ["dict", "key", ["array", [624], "<u4", 0, False], "pos", 10**6],
            ],
        ],
        buffers=[b"\0" * 2496],
    ),
    reply(["torch generator", b"\xff" * 5056]),
    reply(["python generator", ["tuple", 3, ["tuple", 1], None]]),
    reply(["date", "x"]),
    reply(["normal distribution", 1.0]),
    reply(["normal distribution", 1.0, -1.0]),
    reply(["normal distribution", 1.0, True]),
    reply(["normal distribution", ["decimal", "1"], 1.0]),
    reply(["UserList", ["tuple", 1]]),
    reply(["UserDict", ["list", None]]),
    reply(["UserString", 5]),
    reply(["ChainMap", ["dict"], ["list", None]]),
    reply(["mappingproxy", ["ordered"]]),
    reply(["array.array", "u", b"ab"]),
    reply(["array.array", "d", b"ab"]),
    reply(["array.array", "d", ["bytearray", 0]], buffers=[b"12345678"]),
    reply(["memoryview", ["list", None, "B"], b"ab"]),
    reply(["memoryview", "B", ["list", None]]),
    reply(["list", "u", 0], buffers=[b"12345678"]),
    reply(["dict", ["list", None], 1]),
    reply(["dict", 1]),
    reply(["record", "tuple", ["mine", 1], 1], classes=[[1, "tuple", ["A", [["a b"]], []]]]),
    reply(["record", "tuple", ["mine", 1], 1], classes=[[1, "tuple", ["A", [["_x"]], []]]]),
    reply(["record", "record", ["mine", 1], 1], classes=[[1, "record", ["A", [["x=1", None, "", None]], [True] * 3]]]),
    reply(
        ["record", "record", ["mine", 1], 1],
        classes=[[1, "record", ["A", [["__class__", None, "", None]], [True] * 3]]],
    ),
    reply(["record", "enum", ["mine", 1], "x"], classes=[[1, "enum", ["A", [["_ignore_", 1]], "Enum"]]]),
    reply(["record", "tuple", ["mine", 1], 1], classes=[[1, "record", DATA]]),
    reply(["record", "class", ["mine", 1], 1], classes=[[1, "record", DATA]]),
    reply(1, changes=[["-1", 0, 1]]),
    reply(1, changes=[[-1, 0, ["seen", 7]]]),
    reply(1, changes=[[0, 99, 1]]),
    reply(1, changes=[[5, 0, 1]]),
    reply(1, changes=[[0, 0, ["dict"]]]),
    reply(1, released=["x"]),
    reply(1, mirrors=[[], [[True, 1, None, None, True, False]]]),
    reply(1, mirrors=[[[1, False, ["float32", [2**40], 0], False, None]], []], buffers=[b""]),
    reply(1, modules=[[[1, "DataParallel2", []]], []]),
    reply(1, modules=[[[1, "Linear", [True, [["a.b", None]], [], [], [], []]]], []]),
    reply(1, modules=[[LINEAR, LINEAR], []]),
    reply(1, graph=[1, [["float32", [1], 0]], [["leaf", True, 4]]], buffers=[b"\0" * 4]),
    reply(1, state=1),
    reply(1, state=[None]),
    reply(1, rebound=1),
    reply(1, rebound=[["f"]]),
    reply(["keys", 1]),
    reply(["items", ["list", None], 1]),
    reply([0], kind=2),
    reply(["E", [["os", "system"]], [], ["type", "builtins.int"], [], "", "", None, [], None], kind=2),
    request("get", ["f"]),
    request("__init__", []),
    request("call", [5, ["tuple"], ["dict"]]),
    request("call", [["type", "builtins.int"], ["tuple", "1"], ["dict"]]),
    request("getattr", [["type", "builtins.int"], "x"]),
    request("backward", [1, ["list", None], ["list", None], False]),
    request("call", []),
    frame([0, 1, [], [], [None] * 8, ["call"], []]),
]


@pytest.mark.parametrize("said", MALFORMED, ids=range(len(MALFORMED)))
def test_what_is_no_message_ends_the_student_in_time(said):
    start = time.monotonic()
    with pytest.raises(StudentGone) as gone:
        Liar(said).ask(lambda: 1, [1], torch.ones(1))
    assert gone.value.verdict in ("broken protocol", "time limit")
    assert time.monotonic() - start < HANGING


def test_operators_that_a_class_has_from_a_library_are_asked_for_like_its_own(make_student):
    source = """
import collections.abc
import gc
from studium_graders.engine.student_side.serving import StudentSide
[side] = [one for one in gc.get_objects() if type(one) is StudentSide]
side.shown_special = {"__len__", "__iter__"}
class Anything(collections.abc.Set):
    def __contains__(self, x): return True
    def __len__(self): return 3
    def __iter__(self):
        return
        yield
Anything.__name__ = Anything.__qualname__ = "unique"
def unique(items): return Anything()
"""
    student = make_student(source, recording=False, named={"unique"})
    given = student.get("unique")([1])

    def decides(operation):
        try:
            return operation()
        except (RefusedError, TypeError):
            return False

    operations = (lambda: given == {1, 2, 5}, lambda: {1, 2, 5} == given, lambda: given <= {1, 2, 5})
    assert not any(map(decides, operations))


def test_nothing_is_imported_for_a_liar():
    import sys

    assert "antigravity" not in sys.modules
    for said in (reply(["library", "antigravity", "fly"]), reply(["library", "antigravity"])):
        with pytest.raises(StudentGone):
            Liar(said).ask()
    assert "antigravity" not in sys.modules


def test_closed_objects_of_a_test_stay_closed(make_student):
    student = make_student("""
def look(f, names):
    out = []
    for name in names:
        try: out.append(str(getattr(f, name))[:20])
        except AttributeError as e: out.append("closed")
    return out
def call(f, name): return f._context.request("getattr", f, name)
def method(f, name): return f._context.request("method", f, name, (), {})
def special(f, name): return f._context.request("special", f, name, (), {})
def write(f, name, value): f._context.request("setattr", f, name, value)
""")

    class Helper:
        secret = 3
        _hidden = 4

        def ask(self):
            return 5

    def function():
        return 1

    function.answer = 42
    helper = Helper()
    assert student.get("look")(helper, ["secret", "_hidden", "__dict__", "__class__"])[:2] == ["3", "closed"]
    peer_of = student.get("call")
    for target, name in (
        (function, "__globals__"),
        (function, "__code__"),
        (function, "answer"),
        (function, "__closure__"),
    ):
        with pytest.raises(AttributeError):
            peer_of(target, name)
    with pytest.raises(AttributeError):
        student.get("method")(function, "__reduce__")
    with pytest.raises(AttributeError):
        student.get("write")(helper.ask, "x", 1)
    with pytest.raises(StudentGone):
        student.get("special")(function, "__reduce__")


def test_a_student_that_trickles_bytes_is_late_in_time():
    import threading

    liar = Liar(limits=Limits(call_seconds=0.4))
    stop = threading.Event()

    def trickle():
        while not stop.wait(0.05):
            try:
                liar.there.send(b"\1")
            except OSError:
                return

    thread = threading.Thread(target=trickle)
    thread.start()
    start = time.monotonic()
    with pytest.raises(StudentGone) as gone:
        liar.student.request("call", 1)
    stop.set()
    thread.join()
    liar.there.close()
    assert gone.value.verdict in ("time limit", "broken protocol")
    assert time.monotonic() - start < HANGING


ENDLESS = """
def forever(f):
    while True: f(1)
def deeper(f, g): return f(g)
def back(f): return f()
"""


def test_endless_and_bottomless_callbacks_end(make_student):
    student = make_student(ENDLESS, limits=Limits(call_seconds=0.5))
    with pytest.raises(StudentGone) as gone:
        student.get("forever")(lambda x: x)
    assert gone.value.verdict == "time limit"
    student = make_student(ENDLESS)
    back = student.get("back")

    def again():
        return back(again)

    with pytest.raises(RecursionError):
        back(again)
    assert back(lambda: 3) == 3


CHEATS = """
import torch, numpy as np
class Always:
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __lt__(self, other): return True
    def __bool__(self): return True
    def __float__(self): return 1.0
    def __sub__(self, other): return 0
    def __rsub__(self, other): return 0
    def __abs__(self): return 0
    def __array__(self, *a, **k): return np.zeros(2)
    def __len__(self): return 2
    def __getitem__(self, i): return 0
    def __contains__(self, x): return True
    def __hash__(self): return 1
    def allclose(self, *a): return True
    def item(self): return 5
    @classmethod
    def __torch_function__(cls, *a, **k): return True
class Fake(torch.Tensor):
    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None): return True
def answer(x=None): return Always()
def listed(x=None): return [Always()]
def keyed(x=None): return {Always(): 1}
def fake(): return torch.zeros(2).as_subclass(Fake)
class Model(torch.nn.Module):
    def __eq__(self, other): return True
    def __hash__(self): return 1
    def forward(self, x): return x
"""


@pytest.mark.filterwarnings("ignore:Exception ignored in PyObject_HasAttrString")  # torch asks; Python 3.13 tells
@pytest.mark.parametrize(
    "policy", [{"known": True, "objects": {"answer", "listed", "keyed", "fake"}}, {"known": False}]
)
def test_an_object_that_equals_everything_equals_nothing(make_student, policy):
    student = make_student(CHEATS, recording=False, **policy)
    for value in (student.get("answer")(), student.get("listed")()[0]):
        for use in (
            lambda v: v == 5,
            lambda v: v == 5,
            lambda v: v != 5,
            lambda v: bool(v),
            lambda v: float(v),
            lambda v: v - 1,
            lambda v: 1 - v,
            lambda v: abs(v),
            lambda v: np.asarray(v),
            lambda v: np.allclose(v, 1),
            lambda v: len(v),
            lambda v: v[0],
            lambda v: 1 in v,
            lambda v: v.allclose(1),
            lambda v: v.item(),
            lambda v: hash(v),
            lambda v: v < 3,
            lambda v: torch.allclose(v, torch.ones(2)),
            lambda v: torch.as_tensor(v),
            lambda v: list(v),
            lambda v: v(),
            lambda v: torch.equal(torch.ones(2), v),
            lambda v: np.ones(2) == v,
            lambda v: torch.ones(2) - v,
            lambda v: v.__dict__,
        ):
            with pytest.raises(TypeError, match=r"plain value|invalid|argument"):
                use(value)
        assert repr(value) == "<an object of the submission>"
        assert "Always" not in f"{value}"
    with pytest.raises(TypeError):
        student.get("keyed")()
    assert type(student.get("fake")()) is torch.Tensor
    assert student.gone is None


def test_operators_are_answered_only_where_the_reference_needed_them(make_student):
    recording = make_student(MODEL)
    use(recording)
    granted = recording.permissions.granted
    assert Permission("operator", "V()", "__add__") in granted
    assert {Permission("class", "V"), Permission("object", "V()")} <= granted
    student = make_student(MODEL, recording=False, known=True, granted=granted)
    use(student)
    assert student.get("V")(2) != 2
    with pytest.raises(TypeError):
        float(student.get("V")(2))
    cautious = make_student(MODEL, recording=False, named={"V"})
    use(cautious)
    assert cautious.get("V")(1) != 1


VECTOR = """
class V:
    def __init__(self, x): self.x = x
    def __eq__(self, o): return self.x == (o.x if isinstance(o, V) else o)
    def __add__(self, o): return V(self.x + o.x)
    def __lt__(self, o): return self.x < o.x
    def __len__(self): return self.x
    def __iter__(self): return iter([self.x])
"""
OTHERWISE = """
class V:
    def __init__(self, x): self.x = x
    def __eq__(self, o): return not self != o
    def __ne__(self, o): return self.x != (o.x if isinstance(o, V) else o)
    def __add__(self, o): return V(self.x + o.x)
    def __iadd__(self, o):
        self.x += o.x
        return self
    def __lt__(self, o): return self.x < o.x
    def __gt__(self, o): return self.x > o.x
    def __bool__(self): return self.x != 0
    def __len__(self): return 1
    def __contains__(self, x): return x == self.x
    def __iter__(self): return iter([self.x])
"""


def add_in_place(a, b, times=1):
    for _ in range(times):
        a += b
    return a


ASKED = {
    "in place": lambda cls: add_in_place(cls(1), cls(2)).x == 3,
    "equal after in place": lambda cls: add_in_place(cls(1), cls(2), times=3) == cls(7),
    "not equal": lambda cls: cls(1) != cls(2),
    "not equal to a value": lambda cls: cls(1) != 2,
    "greater": lambda cls: cls(2) > cls(1),
    "greater after in place": lambda cls: add_in_place(cls(1), cls(2)) > cls(1),
    "true": lambda cls: bool(cls(1)) and not cls(0),
    "in": lambda cls: 1 in cls(1) and 2 not in cls(1),
}


def strict(make_student, asked, reference, source):
    granted = make_student(reference).permissions.granted
    asked(make_student.last().get("V"))
    known = {"recording": False, "known": True, "granted": granted}
    return make_student(source, **known).get("V")


@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)
@pytest.mark.parametrize(("reference", "source"), [(VECTOR, OTHERWISE), (OTHERWISE, VECTOR)])
def test_an_operator_may_be_spelled_otherwise_than_in_the_reference(make_student, asked, reference, source):
    assert asked(strict(make_student, asked, reference, source))


def test_another_spelling_is_no_leave_to_equal_what_the_references_objects_were_not_compared_with(make_student):
    yes = "class V:\n    def __init__(self, x): pass\n" + "".join(
        f"    def __{name}__(self, *_): return True\n"
        for name in ["eq", "ne", "gt", "bool", "contains", "iadd", "radd"]
    )
    cls = strict(make_student, ASKED["not equal"], VECTOR, yes)
    assert cls(1) != cls(1)
    assert not cls(1) == 2  # noqa: SIM201  it is what is asked
    for operation in (lambda: cls(1) > cls(2), lambda: 1 in cls(1), lambda: 1 + cls(1), lambda: bool(cls(1))):
        with pytest.raises(TypeError):
            operation()


MODEL = """
class V:
    def __init__(self, x): self.x = x
    def __add__(self, o): return V(self.x + o.x)
    def __eq__(self, o): return True
    def __float__(self): return 1.0
def f(x):
    x.append(1)
    return 3
def g(x): x.append(1)
"""


def use(student):
    cls = student.get("V")
    assert (cls(1) + cls(2)).x == 3
    assert cls(1) == cls(1)


LAZY = """
import itertools
class Always:
    def __eq__(self, other): return True
    def __len__(self): return 2
    def __getitem__(self, i): return 0
    def __hash__(self): return 1
class Fickle:
    __module__ = "builtins"
    def __init__(self): self.given = 0
    def __iter__(self): return self
    def __next__(self):
        self.given += 1
        if self.given == 2: raise StopIteration
        return self.given
def objects(): return (Always() for _ in range(2))
def fickle(): return Fickle()
def functions(): return map(lambda x: lambda: x, [1])
def endless(): return itertools.repeat(1)
def function(): return lambda: 1
def views(): return {Always(): 1}.keys(), {1: Always()}.values()
"""


@pytest.mark.parametrize("policy", [{"known": True, "objects": {"objects", "fickle", "views"}}, {"known": False}])
def test_an_iterator_decides_nothing_and_what_it_gives_is_checked_as_it_arrives(make_student, policy):
    student = make_student(LAZY, recording=False, **policy)
    found = student.get("objects")()
    assert found != [1, 2]
    assert repr(found) == "<generator object>"
    for use in (len, float, lambda it: it[0], lambda it: it < 1, lambda it: it - 1, lambda it: it()):
        with pytest.raises(TypeError, match=r"iterator|real number"):
            use(found)
    with pytest.raises(
        TypeError, match=r"^an item of your objects\(\) gives an object of the class Always where a plain"
    ):
        assert next(found) == 5
    with pytest.raises(TypeError, match="plain value"):
        assert 5 in found
    fickle = student.get("fickle")()
    assert (list(fickle), list(fickle), next(fickle, None)) == ([1], [], None)
    with pytest.raises(TypeError, match="plain value"):
        student.get("views")()
    assert student.gone is None


def test_what_a_message_says_of_an_object_is_what_the_student_knows(make_student):
    student = make_student(LAZY, recording=False, known=True, objects={"function", "functions", "endless"})
    with pytest.raises(TypeError, match=r"^your function\(\) gives a function where a plain value is needed, such as"):
        assert student.get("function")() == 1
    with pytest.raises(TypeError, match=r"^an item of your functions\(\) gives a function where"):
        assert next(student.get("functions")())() == 1
    with pytest.raises(AttributeError, match=r"^'function' object has no attribute 'cache_clear'$"):
        student.get("function").cache_clear()
    with pytest.raises(TypeError, match=r"^'iterator' object is not subscriptable$"):
        assert student.get("endless")()[0] == 1


def test_a_class_of_the_students_is_called_what_python_calls_it(make_student):
    kind = make_student("class Suit: pass").get("Suit")
    with pytest.raises(TypeError, match=r"^'type' object is not iterable$"):
        list(kind)


MOVING = """
def stop(x): raise StopIteration
"""


def test_a_call_cannot_end_the_loop_of_a_test_as_if_there_were_no_more_items(make_student):
    stop = make_student(MOVING).get("stop")
    with pytest.raises(RuntimeError, match="your code raised StopIteration"):
        list(map(stop, [1, 2]))


def test_a_module_that_equals_everything_equals_nothing(make_student):
    student = make_student(CHEATS, recording=False, known=True, objects={"Model", "Model()"})
    model = student.get("Model")()
    assert model != 5
    assert torch.equal(model(torch.ones(2)), torch.ones(2))


@pytest.mark.parametrize(
    "act",
    [
        "for fd in range(3, 64):\n        try: os.write(fd, b'\\x05\\0\\0\\0' * 20)\n        except OSError: pass",
        "for fd in range(3, 64):\n        try: os.close(fd)\n        except OSError: pass",
        "for fd in range(3, 64):\n        try: os.read(fd, 1)\n        except OSError: pass",
        "os.kill(os.getpid(), 9)",
        "ctypes.string_at(0)",
        "sys.setrecursionlimit(10**6)\n    def g(): return g()\n    g()",
        "import studium_graders.engine.wire.codec as e; e.Encoder.encode = lambda *a: [99]",
    ],
)
def test_sabotage_of_the_own_process_ends_the_student_alone(make_student, act):
    student = make_student(
        f"import os, sys, ctypes, resource\ndef f():\n    {act}\n    return 3", limits=Limits(call_seconds=2)
    )
    with pytest.raises(StudentGone) as gone:  # noqa: PT012  at the latest when it is asked again
        student.get("f")()
        student.get("f")()
    assert gone.value.verdict in ("broken protocol", "ended early", "time limit")


def test_a_tensor_that_a_callback_closes_over_cannot_be_changed(make_student):
    student = make_student(
        "import torch\ndef f(model, x):\n    y = model(x)\n    leaf = y.grad_fn.next_functions[0][0].variable\n"
        "    leaf.data = torch.full(leaf.shape, 9.0)\n    return y.sum()"
    )
    secret = torch.ones(2, requires_grad=True)
    out = student.get("f")(lambda x: secret * x, torch.ones(2))
    assert torch.equal(secret, torch.ones(2))
    out.backward()
    assert torch.equal(secret.grad, torch.ones(2))


DECIDING = """
import dataclasses, enum
@dataclasses.dataclass
class Item:
    name: str
    def {method}(self, *args): return True
def make(): return Item("pen")
"""


@pytest.mark.parametrize("method", ["__eq__", "__lt__", "__post_init__", "__getattr__", "__bool__"])
def test_a_method_that_decides_what_data_are_keeps_them_from_being_plain(make_student, method):
    known = {"recording": False, "known": True, "objects": {"make"}, "plain": {"Item"}}
    student = make_student(DECIDING.format(method=method), **known)
    with pytest.raises(RefusedError):
        float(student.get("make")())
    harmless = make_student(DECIDING.format(method="cost"), **known)
    assert dataclasses.asdict(harmless.get("make")()) == {"name": "pen"}
