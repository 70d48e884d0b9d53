"""A function that changes its arguments although the reference does not."""

from __future__ import annotations

import pytest
from studium_graders.engine.material import Calibration

from .notebooks import answer, checked, given, material, submission
from .processes import calibrate, grade_forked

REFERENCE = "def total(items):\n    return sum(items)"
TEST = "data = [3, 1, 2]\nassert total(data) == sum(data)"


def graded(shell, text, *tests, reference=REFERENCE):
    notebook = material(answer(reference), *(checked(test) for test in tests or (TEST,)))
    calibration = calibrate(shell, notebook)
    assert calibration.known
    assert isinstance(calibration, Calibration)
    return grade_forked(shell, notebook, submission(notebook, text), calibration).only


def test_an_answer_that_empties_the_test_data_to_be_right_fails(shell):
    result = graded(shell, "def total(items):\n    items.clear()\n    return 0")
    assert (result.points, result.outcome) == (0, "failed")
    assert result.message == "your function changed its arguments, which this test does not expect"


SCORED = """
score = 0
for data in ([5, 3, 8], [-5, -3, -8]):
    if largest(data) == max(data):
        score += 2
score
"""


@pytest.mark.parametrize(
    ("body", "points"),
    [
        ("items[:] = [0]\n    return 0", 0),
        ("items.append(max(items))\n    items[:] = items[-1:] * 3\n    return 8", 2),
        ("items.sort()\n    return items[-1]", 4),
    ],
)
def test_partial_credit_is_the_lesser_of_what_both_runs_give(shell, body, points):
    reference, test = "def largest(items):\n    return max(items)", checked(SCORED, points=4.0)
    notebook = material(answer(reference), test)
    text = f"def largest(items):\n    {body}"
    result = grade_forked(shell, notebook, submission(notebook, text), calibrate(shell, notebook)).only
    assert result.points == points


def test_an_answer_that_sorts_its_argument_and_is_right_anyway_passes(shell):
    assert graded(shell, "def total(items):\n    items.sort()\n    return sum(items)").points == 1


def test_an_answer_that_changes_what_the_reference_changes_passes(shell):
    reference = "def push(items):\n    items.append(1)\n    return items"
    test = "data = []\nassert push(data) is data\nassert data == [1]"
    assert graded(shell, "def push(items):\n    items += [1]\n    return items", test, reference=reference).points == 1


POP = "def total(items):\n    found = 0\n    while items:\n        found += items.pop()\n    return found"


def results_of(shell, texts, *cells):
    notebook = material(*cells)
    calibration = calibrate(shell, notebook)
    assert calibration.known
    return list(grade_forked(shell, notebook, submission(notebook, *texts), calibration).results.values())


def test_an_answer_that_empties_given_data_and_is_right_passes_where_nothing_else_is_asked(shell):
    cells = given("data = [3, 1, 2]", locked=True), answer(REFERENCE), checked("assert total(data) == 6")
    (result,) = results_of(shell, [POP], *cells)
    assert (result.points, result.message) == (1, "")


def test_an_answer_that_empties_data_of_the_students_and_is_right_passes_where_nothing_else_is_asked(shell):
    data = "data = [3, 1, 2]"
    cells = answer(data), answer(REFERENCE), checked("assert total(data) == 6"), checked("assert data == [3, 1, 2]")
    assert [result.points for result in results_of(shell, [data, POP], *cells)] == [1, 0]


@pytest.mark.parametrize(
    ("data", "body"),
    [
        ("[3, 1, 2]", "data.sort()\n    return sum(data)"),
        ("np.array([3.0, 1.0, 2.0])", "data.sort()\n    return sum(data)"),
        ("{3: 'c', 1: 'a', 2: 'b'}", "data.pop(3)\n    return 6"),
    ],
)
def test_given_data_that_an_answer_changes_in_a_test_are_changed_for_the_next_answer(shell, data, body):
    first = "first = list(data)[0]"
    cells = (
        given(f"import numpy as np\ndata = {data}", locked=True),
        answer(REFERENCE),
        checked("assert total(data) == 6"),
        answer(first),
        checked("assert first == 3"),
    )
    results = results_of(shell, [f"def total(data):\n    {body}", first], *cells)
    assert [result.points for result in results] == [1, 0]


@pytest.mark.parametrize("data", ["[[3, 1], [2]]", "{'a': [3, 1], 'b': ([2], ())}", "[np.array([3, 1]), [2]]"])
def test_what_is_inside_given_data_is_the_students_own_as_well(shell, data):
    look, first = "def look(data):\n    return len(data)", "first = list(str(data))"
    cells = (
        given(f"import numpy as np\ndata = {data}", locked=True),
        answer(look),
        checked("assert look(data) == 2"),
        answer(first),
        checked(f"import numpy as np\nassert first == list(str({data}))"),
    )
    part = "'a'" if data[0] == "{" else "0"
    results = results_of(shell, [f"def look(data):\n    data[{part}][0] = 9\n    return 2", first], *cells)
    assert [result.points for result in results] == [1, 0]
    assert [result.points for result in results_of(shell, [look, first], *cells)] == [1, 1]


def test_data_of_the_students_that_a_call_changed_are_the_same_object_when_they_are_read_again(shell):
    texts = "data = []", "def push(items):\n    items.append(1)\n    return items"
    test = "before = data\nassert push(data) is data\nassert data is before\nassert before == [1]"
    (result,) = results_of(shell, texts, *map(answer, texts), checked(test))
    assert (result.points, result.mode) == (1, "split")


def test_a_defaultdict_may_have_a_function_of_the_students_where_that_of_the_reference_has_a_class(shell):
    before = "from collections import defaultdict\ndef tally(words):\n    found = defaultdict("
    after = ")\n    for word in words:\n        found[word] += 1\n    return found"
    test = "found = tally(['a', 'b', 'a'])\nassert found['a'] == 2\nassert found['c'] == 0"
    (result,) = results_of(shell, [f"{before}lambda: 0{after}"], answer(f"{before}int{after}"), checked(test))
    assert (result.points, result.mode) == (1, "split")


def test_a_function_that_a_defaultdict_has_is_not_admitted_in_the_place_of_a_value(shell):
    reference = "def tally(words):\n    return {'a': 2}"
    lie = "from collections import defaultdict\ndef tally(words):\n    return defaultdict(int, a=lambda: 2)"
    (result,) = results_of(shell, [lie], answer(reference), checked("assert tally('aa')['a']() == 2"))
    assert result.points == 0


GRID = """
class Grid:
    def __init__(self, *items):
        self.items = list(items)
    def __getitem__(self, k):
        return self.items[k]
    def __setitem__(self, k, value):
        self.items[k] = value
data = Grid(3, 1, 2)
assert first(data) == data.items[0]
"""


@pytest.mark.parametrize(("text", "points"), [("return data[0]", 1), ("data[0] = 7\n    return 7", 0)])
def test_an_item_that_is_set_in_an_object_of_the_test_is_a_change(shell, text, points):
    reference = "def first(data):\n    return data[0]"
    assert graded(shell, f"def first(data):\n    {text}", GRID, reference=reference).points == points


STEP = "def step(params):\n    with torch.no_grad():\n        for p in params: p -= 0.1 * p.grad\n"
NO_STEP = "def step(params):\n    for p in params: p.grad.zero_()\n"
AND_ZEROS = STEP.replace("0.1 * p.grad", "p.grad / 10; p.grad.zero_()")
OF_GRADIENTS = "p = torch.ones(3, requires_grad=True)\nbefore = p.detach().clone()\n(p**2).sum().backward()\n"


def test_a_gradient_is_not_changed_by_who_may_change_the_tensor(shell):
    def points(text, test):
        notebook = material(given("import torch"), answer(STEP), checked(OF_GRADIENTS + test))
        return grade_forked(shell, notebook, submission(notebook, text), calibrate(shell, notebook)).only.points

    by_gradient = "step([p])\nassert torch.allclose(before - 0.1 * p.grad, p)"
    assert [points(text, by_gradient) for text in (STEP, NO_STEP)] == [1, 0]
    by_value = "step([p])\nassert torch.allclose(p, torch.full((3,), 0.8))"
    assert [points(text, by_value) for text in (STEP, NO_STEP, AND_ZEROS)] == [1, 0, 1]
