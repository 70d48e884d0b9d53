"""What has several names may do under each what the reference's may do there, and nothing of what it may elsewhere."""

from __future__ import annotations

import pytest

from .notebooks import answer, checked, given, material, submission
from .processes import calibrate, grade_forked, grade_split

REFERENCE = """
class Money:
    def __init__(self, n): self.n = n
    def __eq__(self, other): return self.n == (other.n if isinstance(other, Money) else other)
def evens(x): return [v for v in x if v % 2 == 0]
def mean(x): return sum(x) / len(x)
"""
TESTS = ["assert Money(5) == 5", "assert evens([1]) == []", "assert np.allclose(mean([1, 3]), 2) and mean([4]) == 4"]
ONE = {
    "a function": "def evens(x): return []\nmean = evens",
    "a function of another": "def evens(x): return []\ndef money(): return evens\nmean = money()",
    "a method": "class All:\n    def none(self, x): return []\nevens = mean = All().none",
    "an object": "class All:\n    def __call__(self, x): return []\nevens = mean = All()",
    "a module": "class All(nn.Module):\n    def forward(self, x): return []\nevens = mean = All()",
    "a class": "class Money:\n    def __init__(self, n): pass\n    def __eq__(self, other): return True\nmean = Money",
}


def points(shell, text):
    tests = [checked(test, id=f"t{place}", grade_id=f"t{place}") for place, test in enumerate(TESTS)]
    notebook = material(given("import numpy as np\nfrom torch import nn"), answer(REFERENCE), *tests)
    return grade_split(shell, notebook, text).points


@pytest.mark.parametrize("text", ONE.values(), ids=ONE)
def test_an_object_of_two_names_has_not_the_rights_of_the_other(shell, text):
    assert points(shell, f"{REFERENCE}{text}\n")[2] == 0


def test_right_answers_may_have_other_names_too(shell):
    text = REFERENCE.replace("Money", "Coins").replace("def mean", "def average")
    assert points(shell, f"{text}\nMoney = Coins\nmean = middle = average\nnumber = Money(3)\n") == [1, 1, 1]


NESTED = {
    "an object": "class All:\n    def __call__(self, x): return {}\nevens = mean = All()",
    "a module": "class All(nn.Module):\n    def forward(self, x): return {}\nevens = mean = All()",
    "a class": "class All(list):\n    def __init__(self, x): pass\nevens = mean = All",
}
RIGHT = "sum(x) / len(x) if type(x) is tuple else [v for v in x if v % 2 == 0]"


@pytest.mark.parametrize("kind", NESTED)
def test_nor_where_both_names_are_at_hand_at_once(shell, kind):
    test = "assert evens([1]) == []\nassert np.allclose(mean(tuple(evens([2, 4]))), 3)"
    notebook = material(given("import numpy as np\nfrom torch import nn"), answer(REFERENCE), checked(test))
    calibration = calibrate(shell, notebook)
    assert not calibration.one_process
    found = [submission(notebook, NESTED[kind].format(gives)) for gives in ("[]", RIGHT)]
    graded = [grade_forked(shell, notebook, text, calibration).only.points for text in found]
    assert graded == [0, 0 if kind == "a class" else 1]


def test_what_has_two_names_is_one_object(shell):
    reference = (
        "class Stack:\n    def __init__(self): self.items = []\n"
        "class Net(nn.Module):\n    def forward(self, x): return x\n"
        "stack, other, net, model = Stack(), Stack(), Net(), Net()\n"
    )
    test = (
        "stack.items = [1]\nassert other.items in ([], [1]) and isinstance(stack, Stack)\n"
        "net.eval()\nassert model.training in (True, False) and isinstance(model, nn.Module) and model(5) == 5\n"
        "assert isinstance(Stack(), Stack) and isinstance(Pile(), (Stack, Pile)) and issubclass(Pile, object)"
    )
    notebook = material(given("from torch import nn"), answer(reference + "class Pile(Stack): pass\n"), checked(test))
    text = reference.replace("Stack(), Stack(), Net(), Net()", "*[Stack()] * 2, *[Net()] * 2") + "Pile = Stack\n"
    assert grade_forked(shell, notebook, submission(notebook, text), calibrate(shell, notebook)).only.points == 1
