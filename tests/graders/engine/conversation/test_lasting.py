"""Lists, dictionaries and arrays that are parts of objects: who changes them changes the object, on both sides."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

SOURCE = """
import numpy as np
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
