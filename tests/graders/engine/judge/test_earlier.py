"""What a test that runs whole finds of earlier tests: all that they left, for all run in order in one shell."""

from __future__ import annotations

import pytest
from studium_graders.engine.judge.events import Judged

from .notebooks import answer, checked, grade, material, submission
from .processes import forked

BOX = """
made = []
class Box:
    def __init__(self, value):
        made.append(value)
        self.value, self.items = value, []
    def add(self, item):
        self.items.append(item)
        return len(self.items)
def fail(): raise ValueError("not solved")
def call(function): return function()
box = Box(0)
"""


def together(source, **more):
    return checked(f"import gc; gc.collect();\n{source}", **more)


@pytest.fixture
def last(shell):
    """last(*tests) → what the last test gave where the answer is BOX."""

    def of(*tests):
        notebook = material(answer(BOX), *tests)
        with forked(shell) as student:
            events = grade(student, notebook, submission(notebook, BOX), whole=True).events
        return [event for event in events if isinstance(event, Judged)][-1]

    return of


@pytest.mark.parametrize(
    ("earlier", "source"),
    [
        ("assert box.add(1) == 1", "assert box.items == [1]"),
        ("x = Box(7)\nassert x.add(1) == 1", "assert x.items == [1] and made == [0, 7]"),
        ("size = box.add(1)", "assert size == 1 and box.items == [1]"),
        ("box.add(1)\nrows = [x for x in (Box(1), Box(2))]", "assert [x.value for x in rows] == [1, 2] == made[1:]"),
        ("calls = []\ndef f(): calls.append(1)\nassert call(f) is None", "assert calls == [1]"),
        ("class Own:\n    pass\nown = Own()\nown.x = 1", "assert type(own) is Own and own.x == 1"),
        ("import numpy as np\nnp.testing.assert_equal(box.add(1), 1)", "assert np.sum(box.items) == 1"),
        ("it = iter([1, 2, 3])\nassert next(it) == 1", "assert next(it) == 2"),
        ("x = 1", "x += 1\nassert x == 2"),
    ],
)
def test_a_test_finds_what_an_earlier_one_left(last, earlier, source):
    assert last(checked(earlier), together(source)).result.message == ""


@pytest.mark.parametrize(
    "failing", ["x = fail()", "x = Box(1)\nx.fail()\ny = 1", "x = fail()\ndef near(a, b):\n    return a == b"]
)
def test_what_failed_in_an_earlier_test_takes_nothing_else_with_it(last, failing):
    tests = checked(failing), checked("x = Box(7)\ndef near(a, b):\n    return a - b == 0")
    assert last(*tests, together("assert near(x.value, 7)")).result.message == ""


def test_what_failed_in_an_earlier_test_is_not_tried_again(last):
    failing = checked("x = box.add(1) + fail()")
    assert last(failing, together("assert x or True")).result.message == "NameError: name 'x' is not defined"
    assert last(failing, together("assert box.items == [1], x")).result.message == ""


def test_a_test_that_ran_there_is_not_repeated_and_what_it_bound_holds(last):
    tests = checked("x = [1]"), together("x = [*x, box.add(2)]"), together("x.append(3)")
    assert last(*tests, together("assert x == [1, 1, 3] and box.items == [2]")).result.message == ""


def test_what_a_later_test_changed_here_comes_too(last):
    tests = checked("x = [1]"), together("assert x == [1]"), checked("x.append(2)")
    assert last(*tests, together("assert x == [1, 2]")).result.message == ""


def test_a_layer_that_an_earlier_test_trained_is_that_layer(last):
    trained = "import torch\nlayer = torch.nn.Linear(2, 2)\nwith torch.no_grad():\n    layer.weight.fill_(3)"
    assert last(checked(trained), together("assert layer.weight.tolist() == [[3, 3], [3, 3]]")).result.message == ""


def test_numbers_that_an_earlier_test_drew_are_those(last):
    drawn = "import numpy as np\nnp.random.seed(0)\nx = np.random.rand()\ny = np.random.rand()"
    said = last(checked(drawn), together("np.random.seed(0)\nassert [np.random.rand(), np.random.rand()] == [x, y]"))
    assert said.result.message == ""


def test_a_library_is_set_up_as_an_earlier_test_did(last):
    shown = "import numpy as np\nnp.set_printoptions(precision=2)"
    assert last(checked(shown), together("assert str(np.array([1 / 3])) == '[0.33]'")).result.message == ""
