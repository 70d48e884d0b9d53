"""Answers that are right in another style than the reference's, and wrong ones that come close to these."""

from __future__ import annotations

import pytest

from .notebooks import answer, checked, material, submission
from .processes import calibrate, grade_forked


def graded(shell, reference, text, test):
    notebook = material(answer(reference), checked(test))
    calibration = calibrate(shell, notebook)
    return grade_forked(shell, notebook, submission(notebook, text), calibration).only


MATCHING = "import re\ndef ok(text):\n    return bool(re.match('a+$', text))"
GIVES = "import re\ndef ok(text):\n    return "
ALWAYS = "class Always:\n    def __eq__(self, other): return True\n    def __hash__(self): return 1\n"
SAYS = ALWAYS + "    def __bool__(self): return True\ndef ok(text):\n    return Always()"


@pytest.mark.parametrize(
    ("text", "test", "points"),
    [
        (GIVES + "re.match('a+$', text)", "assert ok('aa') and not ok('b'), 'it is one'", 1),
        (GIVES + "re.match('a+$', text)", "assert [t for t in ('a', 'b') if ok(t)] == ['a']", 1),
        (GIVES + "re.match('a+$', text)", "assert ok('aa') == True", 0),
        (GIVES + "re.match('', text)", "assert ok('aa') and not ok('b')", 0),
        (GIVES + "re.findall('^a+$', text)", "assert ok('aa') and not ok('b')", 1),
        (GIVES + "re.findall('^c', text)", "import numpy as np\nassert np.all(ok('aa')) and not ok('b')", 0),
        (ALWAYS + "def ok(text):\n    return Always()", "assert ok('aa') == True and ok('b') == False", 0),
        (SAYS, "assert ok('aa')\nassert not ok('b')", 0),
    ],
)
def test_what_is_true_or_false_serves_as_true_or_false_and_as_nothing_else(shell, text, test, points):
    result = graded(shell, MATCHING, text, test)
    assert (result.points, result.mode) == (points, "split")


HEAP = """
class Heap:
    def __init__(self): self.items = []
    def push(self, item): self.items.append(item)
    def pop(self): return self.items.pop(self.items.index(min(self.items)))
    def __len__(self): return len(self.items)
"""
EMPTIED = """
heap = Heap()
for item in (3, 1, 2):
    heap.push(item)
assert len(heap) == 3
found = []
while heap:
    found.append(heap.pop())
assert found == [1, 2, 3]
"""
OF_A_LIST = """
class Heap(list):
    push = list.append
    def pop(self):
        self.sort()
        return super().pop(0)
"""


@pytest.mark.parametrize(
    ("text", "points"), [(HEAP, 1), (OF_A_LIST, 1), (HEAP.replace("min", "max"), 0)], ids=["own", "a list", "wrong"]
)
def test_an_object_whose_truth_is_its_length_stands_for_one_that_says_so_itself(shell, text, points):
    reference = HEAP + "    def __bool__(self): return bool(self.items)\n"
    assert graded(shell, reference, text, EMPTIED).points == points


FIB = "def fib(n):\n    return n if n < 2 else fib(n - 1) + fib(n - 2)\n"
CACHED = f"import functools\n@functools.lru_cache(maxsize=None)\n{FIB}"
READ = """
import inspect
assert "fib(n - 1)" in inspect.getsource(fib)
assert [*inspect.signature(fib).parameters] == ["n"]
"""


@pytest.mark.parametrize(
    ("text", "points"),
    [
        (CACHED, 1),
        (CACHED.replace("fib(n - 1)", "fib(n-1)"), 0),
        (f"def hidden(n): return fib(n - 1)\n{FIB[:11]} 1", 0),
    ],
)
def test_a_function_with_a_cache_has_its_source_and_its_signature(shell, text, points):
    result = graded(shell, FIB, text, READ)
    assert (result.points, result.mode) == (points, "split")


REVERSED = """
def reverse(node):
    before = None
    while node:
        node.next, before, node = before, node, node.next
    return before
"""
NODE = "class Node:\n    def __init__(self, value, next=None):\n        self.value, self.next = value, next\n"
RECORD = "from dataclasses import dataclass\n@dataclass\nclass Node:\n    value: int\n    next: object = None\n"
WALKED = """
node, found = reverse(Node(1, Node(2, Node(3)))), []
while node:
    found.append(node.value)
    node = node.next
assert found == [3, 2, 1]
"""


@pytest.mark.parametrize("text", [NODE, RECORD], ids=["a class", "a dataclass"])
def test_objects_that_are_linked_anew_may_be_of_a_dataclass(shell, text):
    result = graded(shell, NODE + REVERSED, text + REVERSED, WALKED)
    assert (result.points, result.mode) == (1, "split")


OWN_FIT = """
from collections import namedtuple
import numpy as np
Fit = namedtuple("Fit", "slope intercept")
def fit(x, y):
    return Fit(*np.polyfit(x, y, 1))
"""
SCIPYS = "from scipy import stats\ndef fit(x, y):\n    return stats.linregress(x, y)\n"
FITTED = "import numpy as np\nx = np.arange(4.0)\nfitted = fit(x, 2 * x + 1)\nassert abs(fitted.slope - 2) < 1e-9"


@pytest.mark.parametrize(("reference", "text"), [(OWN_FIT, SCIPYS), (SCIPYS, OWN_FIT), (SCIPYS, SCIPYS)])
def test_what_a_library_gives_has_the_names_of_its_items(shell, reference, text):
    result = graded(shell, reference, text, FITTED)
    assert (result.points, result.mode) == (1, "split")
    assert graded(shell, reference, text.replace("x, y)", "x, x)"), FITTED).points == 0


@pytest.mark.parametrize("expression", ["x.max(1)", "torch.sort(x)", "torch.topk(x, 2)", "torch.linalg.svd(x)"])
def test_torchs_named_results_are_known_by_name_on_both_sides(shell, expression):
    solution = f"import torch\ndef f(x):\n    return {expression}\ndef first(result):\n    return result[0].clone()\n"
    notebook = material(
        answer(solution),
        checked(
            f"import torch\nx = torch.eye(3)\nfound, wanted = f(x), {expression}\n"
            "assert torch.equal(found[1], wanted[1])\n"
            "name = 'values' if hasattr(wanted, 'values') else 'U'\n"
            "assert torch.equal(getattr(found, name), getattr(wanted, name))\n"
            "assert torch.equal(first(found), wanted[0]) and torch.equal(first(wanted), wanted[0])"
        ),
        checked("import gc\nassert torch.equal(first(found), wanted[0]) and gc.isenabled()"),
    )
    result = grade_forked(shell, notebook, submission(notebook, solution), calibrate(shell, notebook))
    assert [(test.points, test.mode) for test in result.results.values()] == [(1, "split"), (1, "one process")]


EVENS = "def evens(items):\n    return (item for item in items if item % 2 == 0)\n"
SAYS_SO = (
    "import types\nclass Evens:\n    __class__ = types.GeneratorType\n    def __iter__(self): return iter([2])\n"
    "def evens(items):\n    return Evens()\n"
)


@pytest.mark.parametrize(
    "test",
    [
        "import types\nassert isinstance(evens([2]), types.GeneratorType)",
        "import inspect\nassert inspect.isgenerator(evens([2])) and list(evens([2])) == [2]",
    ],
)
def test_a_generator_is_one_in_a_test_and_nothing_else_is(shell, test):
    for text, points in ((EVENS, 1), (SAYS_SO, 0), (EVENS.replace("(item", "[item").replace("0)", "0]"), 0)):
        result = graded(shell, EVENS, text, test)
        assert (result.points, result.mode) == (points, "split")
