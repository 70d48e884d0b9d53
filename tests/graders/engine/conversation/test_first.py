import contextlib
import io

import numpy as np
import pytest
import torch
from studium_graders.engine.judge_side.student_gone import StudentGone
from studium_graders.engine.material.limits import Limits


def test_a_function_of_the_student_is_called_with_plain_values(make_student):
    student = make_student("def add(a, b=2):\n    'Add.'\n    return a + b")
    add = student.get("add")
    assert add(1) == 3
    assert add(a=1.5, b=2) == 3.5
    assert add([1], ["x"]) == [1, "x"]
    assert add.__name__ == "add"
    assert add.__doc__ == "Add."


def test_tensors_and_arrays_cross(make_student):
    same = make_student("def same(x): return x\ndef copy(x): return x + 0").get("copy")
    assert torch.equal(same(torch.arange(6).reshape(2, 3).T), torch.arange(6).reshape(2, 3).T)
    assert np.array_equal(same(np.arange(6.0)), np.arange(6.0))
    assert same(torch.ones(3, dtype=torch.bfloat16)).dtype is torch.bfloat16


def test_exceptions_keep_their_class_and_message(make_student):
    student = make_student(
        "def f(x):\n    raise KeyError('no ' + x)\nclass Mine(ValueError): pass\ndef g(): raise Mine('m')\n"
        "def stop(): raise SystemExit(3)"
    )
    with pytest.raises(KeyError, match="no a"):
        student.get("f")("a")
    with pytest.raises(ValueError, match="m") as caught:
        student.get("g")()
    assert type(caught.value).__name__ == "Mine"
    with pytest.raises(Exception, match="3") as caught:
        student.get("stop")()
    assert type(caught.value).__name__ == "SystemExit"
    assert isinstance(caught.value, Exception)
    with pytest.raises(NameError):
        student.get("nothing")


def test_what_a_function_prints_appears_where_the_test_looks(make_student):
    hello = make_student("def hello(): print('hello')").get("hello")
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        hello()
    assert out.getvalue() == "hello\n"


def test_cells_run_and_leave_outputs(make_student):
    student = make_student()
    run = student.run("print('a')\n1 + 1")
    assert [output["output_type"] for output in run.outputs] == ["stream", "execute_result"]
    assert run.outputs[1]["data"]["text/plain"] == "2"
    run = student.run("x = 3\n1 / 0")
    assert run.error == "ZeroDivisionError: division by zero"
    assert run.outputs[-1]["ename"] == "ZeroDivisionError"
    assert student.get("x") == 3
    assert student.run("def f(:").error.startswith("SyntaxError")
    student.set("y", [1])
    assert student.has("y")
    student.delete("y")
    assert not student.has("y")


def test_a_list_that_the_student_changes_changes_here(make_student):
    student = make_student("def f(x): x.append(3)")
    x = [1]
    student.get("f")(x)
    assert x == [1, 3]


def test_endless_loops_and_exits_end_the_student(make_student):
    student = make_student(
        "def loop():\n    while True: pass\ndef leave():\n    import os; os._exit(0)", limits=Limits(call_seconds=0.5)
    )
    with pytest.raises(StudentGone) as gone:
        student.get("loop")()
    assert gone.value.verdict == "time limit"
    student = make_student("def leave():\n    import os; os._exit(0)")
    with pytest.raises(StudentGone) as gone:
        student.get("leave")()
    assert gone.value.verdict == "ended early"
    with pytest.raises(StudentGone):
        student.has("leave")


MODEL = """
class Counter:
    "Counts."
    kind = "c"
    def __init__(self, start=0): self.n = start
    def up(self, by=1):
        self.n += by
        return self
    @property
    def twice(self): return 2 * self.n
    def __len__(self): return self.n
    def __eq__(self, other): return isinstance(other, Counter) and other.n == self.n
    def __hash__(self): return 1
    def __add__(self, other): return Counter(self.n + other.n)
    def __enter__(self): return self
    def __exit__(self, *a): return True
    @staticmethod
    def s(): return 5
class Better(Counter): pass
def numbers():
    for i in range(3): yield i
def compose(*fs):
    def run(x):
        for f in fs: x = f(x)
        return x
    return run
class Odd(Exception):
    def __init__(self, code): self.code = code
def odd(): raise Odd(4)
def apply(f, x): return f(x)
"""


def test_classes_and_instances(make_student):
    student = make_student(MODEL)
    counter_class, better_class = student.get("Counter"), student.get("Better")
    c = counter_class(2)
    assert isinstance(c, counter_class)
    assert type(c) is counter_class
    assert issubclass(better_class, counter_class)
    assert isinstance(better_class(), counter_class)
    assert not isinstance(c, better_class)
    assert (c.n, c.twice, len(c), counter_class.kind, counter_class.s(), c.s()) == (2, 4, 2, "c", 5, 5)
    assert c.up() is c
    assert c.up(by=2).n == 5
    c.n = 7
    assert c.twice == 14
    assert c == counter_class(7)
    assert c != counter_class(6)
    assert (c + counter_class(1)).n == 8
    with c as same:
        assert same is c
    with pytest.raises(AttributeError):
        _ = c.nothing
    assert not hasattr(c, "nothing")
    assert counter_class.__name__ == "Counter"
    assert counter_class.__doc__ == "Counts."
    assert vars(c) == {"n": 7}


def test_iterators_are_lazy_and_functions_come_back(make_student):
    student = make_student(MODEL)
    numbers = student.get("numbers")
    assert list(numbers()) == [0, 1, 2]
    it = numbers()
    assert next(it) == 0
    compose = student.get("compose")
    seen = []
    assert compose(lambda x: seen.append(x) or x + 1, numbers.__class__ and (lambda x: x * 2))(3) == 8
    assert seen == [3]
    assert student.get("apply")(student.get("compose")(), 4) == 4
    assert student.get("apply")(torch.relu, torch.tensor(-1.0)) == 0
    assert student.get("apply")(float, "2") == 2.0


def test_exception_classes_can_be_caught_by_name(make_student):
    student = make_student(MODEL)
    with pytest.raises(student.get("Odd")):
        student.get("odd")()

    def fails(x):
        raise LookupError("hidden")

    with pytest.raises(LookupError, match="hidden"):
        student.get("apply")(fails, 1)


class Node:
    def __init__(self, value, following=None):
        self.value, self.next = value, following


LISTS = """
class Node:
    def __init__(self, value, next=None):
        self.value, self.next = value, next
def build(xs):
    head = None
    for x in reversed(xs): head = Node(x, head)
    return head
def reverse(head):
    before = None
    while head:
        head.next, before, head = before, head, head.next
    return before
def length(head): return 0 if head is None else 1 + length(head.next)
def is_node(x): return isinstance(x, Node)
"""


def test_objects_of_a_given_class_are_used_from_both_sides(make_student, monkeypatch):
    monkeypatch.setattr(Node, "__module__", "__main__")
    student = make_student(LISTS, given={"Node": Node}.get)
    head = student.get("build")([1, 2, 3])
    assert isinstance(head, Node)
    assert [head.value, head.next.value, head.next.next.value, head.next.next.next] == [1, 2, 3, None]
    mine = Node(1, Node(2, Node(3)))
    assert student.get("length")(mine) == 3
    assert student.get("is_node")(mine)
    last = mine.next.next
    assert student.get("reverse")(mine) is last
    assert last.next.next is mine
    assert mine.next is None
    head = student.get("reverse")(head)
    assert head.value == 3


def test_an_exception_knows_the_line_of_the_cell(make_student):
    student = make_student("def f(x):\n    y = 1\n    return y / x")
    with pytest.raises(ZeroDivisionError) as caught:
        student.get("f")(0)
    assert caught.value.student_line == "return y / x"


def test_signatures_are_those_of_the_student(make_student):
    import inspect

    f = make_student("def f(a: int, b=2, *c, d: 'torch.Tensor' = None, **e) -> list: return a").get("f")
    assert str(inspect.signature(f)) == "(a: int, b=2, *c, d: 'torch.Tensor' = None, **e) -> list"
    assert f.__defaults__ == (2,)
    assert f.__annotations__["return"] is list
    assert not hasattr(f, "__code__")
