"""Lists, dictionaries and arrays that are parts of objects: who changes them changes the object, on both sides."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from studium_graders.engine.remote.lasting import ANSWERS, MOST_CALLS, Kept
from studium_graders.engine.remote.writeback import Frame
from torch import nn

SOURCE = """
import numpy as np
class Shop:
    def __init__(self):
        self.stock = {"nails": [1, 2]}
        self.prices = np.zeros(3)
        self.field = np.zeros(200_000)
    def __getitem__(self, name): return self.stock.setdefault(name, [])
    def count(self, name): return len(self.stock.get(name, []))
    def total(self): return float(self.prices.sum())
    def far(self): return float(self.field.sum())
shop = Shop()
def slow_down(optimizer, rate):
    for group in optimizer.param_groups:
        group["lr"] = rate
class Slower:
    def __init__(self, optimizer): self.groups = optimizer.param_groups
    def step(self): self.groups[0]["lr"] /= 2
def fill(box):
    box.items.append(1)
    box.numbers[0] = 7
    return len(box.items)
"""


class Box:
    def __init__(self) -> None:
        self.items: list[int] = []
        self.numbers = np.zeros(2)


Box.__module__ = "__main__"


def sgd(rate: float = 1.0) -> torch.optim.SGD:
    return torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=rate)


def test_what_a_test_makes_of_an_attribute_the_answer_sees_although_nobody_keeps_it(make_student):
    shop = make_student(SOURCE).get("shop")
    shop.stock["nails"].append(3)
    assert shop.count("nails") == 3
    shop["screws"].append(1)
    assert shop.count("screws") == 1
    shop.prices[1] = 5
    assert shop.total() == 5


def test_so_it_does_later_as_long_as_the_test_keeps_it(make_student):
    shop = make_student(SOURCE).get("shop")
    stock = shop.stock
    assert shop.count("nails") == 2
    stock["nails"] = []
    assert shop.count("nails") == 0
    stock["glue"] = [1]
    assert shop.count("glue") == 1


def test_what_an_answer_makes_of_an_attribute_of_a_test_object_the_test_sees(make_student):
    student = make_student(SOURCE)
    optimizer, box = sgd(), Box()
    student.get("slow_down")(optimizer, 0.25)
    assert optimizer.param_groups[0]["lr"] == 0.25
    assert student.get("fill")(box) == 1
    assert box.items == [1]
    assert box.numbers.tolist() == [7, 0]


def test_also_where_it_keeps_the_attribute_and_not_the_object(make_student):
    student, optimizer = make_student(SOURCE), sgd()
    slower = student.get("Slower")(optimizer)
    for rate in (0.5, 0.25):
        slower.step()
        assert optimizer.param_groups[0]["lr"] == rate


@pytest.mark.parametrize("allowed", [True, False])
def test_a_change_that_the_reference_does_not_make_stays_with_the_answer(make_student, allowed):
    mutates = {"slow_down#"} if allowed else set()
    student, optimizer = make_student(SOURCE, mutates=mutates, recording=False, writeback="kept"), sgd()
    student.get("slow_down")(optimizer, 0.25)
    assert optimizer.param_groups[0]["lr"] == (0.25 if allowed else 1.0)


def test_arguments_are_not_forgotten_for_many_answers(make_student):
    student = make_student(
        "class Keep:\n    def __init__(self, items): self.items = items\n    def grow(self): self.items.append(1)\n"
        + SOURCE
    )
    given: list[int] = []
    keep, shop = student.get("Keep")(given), student.get("shop")
    stocks = [shop.stock for _ in range(2 * MOST_CALLS)]
    keep.grow()
    assert given == [1]
    stocks[-1]["nails"].append(3)
    assert shop.count("nails") == 3


def test_a_large_array_is_not_looked_through(make_student):
    shop = make_student(SOURCE).get("shop")
    shop.field[0] = 5
    assert shop.far() == 0


def test_a_scheduler_of_torchs_wraps_the_step_of_an_answers_optimizer(make_student):
    source = """
    import torch
    class Sgd(torch.optim.Optimizer):
        def __init__(self, params, lr): super().__init__(params, dict(lr=lr))
        def step(self):
            with torch.no_grad():
                for group in self.param_groups:
                    for p in group["params"]:
                        p -= group["lr"] * p.grad
    """
    weight = nn.Parameter(torch.zeros(1))
    optimizer = make_student(source).get("Sgd")([weight], lr=1.0)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
    for _ in range(2):
        weight.grad = torch.ones(1)
        optimizer.step()
        scheduler.step()
    assert weight.tolist() == [-1.5]
    assert scheduler.get_last_lr() == [0.25]


def test_an_object_put_where_a_number_belongs_is_named_as_the_answers_own(make_student):
    source = """
    def spoil(optimizer):
        optimizer.param_groups[0]["lr"] = object()
    def read(optimizer):
        return optimizer.param_groups[0]["lr"]
    """
    student, optimizer = make_student(source, recording=False), sgd()
    student.get("spoil")(optimizer)
    with pytest.raises(TypeError, match="where a plain value is needed"):
        student.get("read")(optimizer)


def test_an_object_of_the_answers_in_an_attribute_of_another_is_asked_for_nothing(make_student):
    source = """
    class Node:
        def __init__(self): self.next = None
        def __getattr__(self, name): raise KeyError(name)
    node = Node()
    """
    student = make_student(source)
    first, second = student.get("Node")(), student.get("Node")()
    first.next = second
    assert first.next is second


@pytest.mark.parametrize("messages", range(16))
def test_what_a_message_could_not_tell_the_next_one_tells_whenever_that_is(messages):
    class Plain:
        change = staticmethod(list)

    kept = Kept()
    for _ in range(messages):
        assert list(kept.changes(Plain())) == []
    kept.add(ANSWERS + 1, frame := Frame([[1]], kept=True))
    frame.objects[0].append(2)
    for _ in range(2):
        assert list(kept.changes(Plain())) == [[-ANSWERS - 1, 0, [1, 2]]]
        kept.resend()


MANAGER = """
import contextlib
@contextlib.contextmanager
def manager(log):
    log.append("in")
    try:
        yield
    finally:
        log.append("out")
def nothing():
    pass
"""


@pytest.mark.parametrize("before", range(16))
def test_what_a_keeper_changes_last_is_told_although_it_keeps_it_no_longer(make_module_student, before):
    student = make_module_student(MANAGER)
    manager, nothing = student.get("manager"), student.get("nothing")
    for _ in range(before):
        nothing()
    log = []
    with manager(log):
        assert log == ["in"]
    assert log == ["in", "out"]
