"""Tests that change a value after it has crossed: split, the student's code has a copy of it that stays as it was."""

from __future__ import annotations

import pytest
from studium_graders.engine.material import Calibration
from studium_graders.engine.remote.recording import Crossed

from .notebooks import answer, checked, given, material, submission
from .processes import calibrate, grade_forked

HOLDER = """
import numpy as np, torch
class Holder:
    def __init__(self, value):
        self.value = {copied}
    def size(self):
        return len(self.value)
    def get(self):
        return {given}
"""
COPIES = HOLDER.format(copied="__import__('copy').deepcopy(value)", given="__import__('copy').deepcopy(self.value)")
SHARES = HOLDER.format(copied="value", given="self.value")
TEST = "data = [1, 2]\nh = Holder(data)\ndata.append(3)\nassert h.size() == 2, 'copy the data'"
IMPORTS = "import collections, dataclasses, random\nimport numpy as np, torch"


def noted(shell, *tests, reference=COPIES):
    """Give the numbers of the tests that are judged in both ways."""
    cells = [checked(test, id=str(number), grade_id=str(number)) for number, test in enumerate(tests)]
    return set(calibrate(shell, material(given(IMPORTS, locked=True), answer(reference), *cells)).both_ways)


def graded(shell, text, test=TEST, reference=COPIES, **more):
    notebook = material(answer(reference), checked(test, **more))
    return grade_forked(shell, notebook, submission(notebook, text), calibrate(shell, notebook))


@pytest.mark.parametrize(
    ("value", "change"),
    [
        ("[1, 2]", "v.append(3)"),
        ("[1, 2]", "v[0] = 7"),
        ("[[1], 2]", "v[0].append(3)"),
        ("{'a': [1]}", "v['b'] = 2"),
        ("{'a': [1]}", "v['a'].append(2)"),
        ("{1, 2}", "v.add(3)"),
        ("bytearray(b'ab')", "v[0] = 0"),
        ("collections.deque([1, 2])", "v.append(3)"),
        ("collections.defaultdict(list)", "v['new']"),
        ("np.arange(3.0)", "v[0] = 9"),
        ("np.arange(3.0)[1:]", "v.base[1] = 9"),
        ("np.array([None, 1])", "v[0] = 9"),
        ("torch.arange(3.0)", "v += 1"),
        ("torch.ones(2, 2)[0]", "v._base.zero_()"),
        ("(1, [2])", "v[1].append(3)"),
    ],
)
def test_a_change_of_what_was_passed_is_noted_at_the_next_call_and_at_the_end(shell, value, change):
    start = f"v = {value}\nh = Holder(v)\n"
    assert noted(shell, f"{start}{change}\nassert h.size() >= 0", f"{start}{change}") == {"0", "1"}


def test_a_change_that_is_undone_after_a_call_is_noted(shell):
    assert noted(shell, "v = [1]\nh = Holder(v)\nv.append(2)\nassert h.size() == 1\nv.pop()") == {"0"}


def test_what_nobody_has_any_more_is_not_looked_at_again(shell):
    many = "for n in range(500): Holder([n] * 50)"
    assert noted(shell, f"v = [1]\nh = Holder(v)\n{many}\nv.append(2)\nassert h.size() == 1\nv.pop()") == {"0"}


def test_a_change_of_what_was_returned_is_noted_whoever_else_has_it(shell):
    start = "h = Holder({'a': [1]})\n"
    assert noted(shell, f"{start}h.get()['a'].append(2)\nassert h.get() == {{'a': [1]}}") == {"0"}


def test_a_change_of_what_an_earlier_test_passed_is_noted(shell):
    assert noted(shell, "v = [1]\nh = Holder(v)", "v.append(2)\nassert h.size() == 1") == {"1"}


def test_a_change_of_what_a_callback_was_given_is_noted(shell):
    reference = "def each(items, call):\n    for item in items:\n        call([item])"
    assert noted(shell, "seen = []\neach([1], seen.append)\nseen[0].append(2)", reference=reference) == {"0"}


@pytest.mark.parametrize(
    "test",
    [
        "v = [1]\nv.append(2)\nassert Holder(v).size() == 2",
        "v = [1]\nassert Holder(v).size() == 1\nv = [1, 2]\nassert Holder(v).size() == 2",
        "results = []\nfor n in range(3): results.append(Holder([n]).get())\nassert results == [[0], [1], [2]]",
        "rng = np.random.default_rng(0)\nh = Holder([rng])\nrng.normal()\nassert h.size() == 1",
        "x = torch.ones(2, requires_grad=True)\nh = Holder(x)\n(2 * x).sum().backward()\nassert h.size() == 2",
    ],
)
def test_what_is_made_before_or_beside_a_call_stays_split(shell, test):
    assert noted(shell, test) == set()


def test_what_the_students_function_changes_stays_split(shell):
    reference = "def push(items, item):\n    items.append(item)\n    return items"
    test = "v = [[1]]\nassert push(v, 2) is v\nassert v == [[1], 2]\npush(v[0], 3)\nassert v == [[1, 3], 2]"
    assert noted(shell, test, reference=reference) == set()


def test_what_is_too_large_to_be_watched_stays_split(shell):
    start = "v = np.zeros(1 << {})\nh = Holder(v)\nv[0] = 1\nassert h.size() == v.size"
    assert noted(shell, start.format(20), start.format(24)) == {"0"}


def test_a_long_list_is_looked_at_a_few_times_and_at_the_end():
    crossed, values = Crossed(), list(range(100_000))
    crossed.begin()
    crossed.keep([values])
    values.append(1)
    assert crossed.changed()
    values.append(2)
    assert not crossed.changed()
    assert crossed.changed(last=True)


def test_a_wrong_answer_fails_in_one_process_and_is_told_so(shell):
    result = graded(shell, SHARES).only
    assert (result.points, result.outcome, result.mode) == (0, "failed", "one process")
    assert "copy the data" in result.message


def test_a_right_answer_passes_in_both_ways_and_counts_as_split(shell):
    assert (graded(shell, COPIES).only.points, graded(shell, COPIES).only.mode) == (1, "split")


def test_a_failure_in_two_processes_is_the_result(shell):
    text = f"{COPIES}\nclass Holder(Holder):\n    def size(self): return 1 / 0"
    assert (graded(shell, text).only.points, graded(shell, text).only.mode) == (0, "split")


def test_the_lesser_of_partial_credits_counts(shell):
    test = "data = [1, 2]\nh = Holder(data)\ndata.append(3)\n2 if h.size() == 2 else 0.5"
    assert graded(shell, COPIES, test, points=2.0).only.points == 2
    assert graded(shell, SHARES, test, points=2.0).only.points == 0.5


def test_an_answer_that_ends_the_test_where_it_runs_with_it_earns_no_more_than_split(shell):
    forged = f"{COPIES.replace('return len(self.value)', 'return 5')}\nimport builtins\nbuiltins.AssertionError = int"
    assert graded(shell, forged).only.points == 0


def test_a_hidden_test_shows_nothing_of_itself(shell):
    result = graded(shell, SHARES, hidden=True)
    assert (result.only.points, result.only.hidden) == (0, True)
    assert [run.error for run in result.runs.values() if run.error] == ["a hidden test failed"]


def test_a_later_test_finds_the_names_of_the_judge_as_the_split_run_left_them(shell):
    later = "assert data == [1, 2, 3]"
    notebook = material(answer(COPIES), checked(TEST), checked(later))
    calibration = calibrate(shell, notebook)
    assert calibration.both_ways == {"test1"}
    assert grade_forked(shell, notebook, submission(notebook, COPIES), calibration).points == [1, 1]


def test_a_test_in_one_process_alone_is_run_once(shell):
    test = f"import gc\ngc.collect()\n{TEST}"
    assert graded(shell, COPIES, test).only.mode == "one process"
    assert noted(shell, test) == set()


def test_nothing_is_judged_twice_without_a_reference(shell):
    notebook = material(answer(""), checked(TEST))
    assert grade_forked(shell, notebook, submission(notebook, SHARES), Calibration()).points == [1]


SPY = """class Spy({base}):
    reads = 0
    def __getitem__(self, place):
        type(self).reads += 1
        return super().__getitem__(place)
    def __repr__(self):
        return "spy"
data = Spy({items})
assert first(data) == 0
assert Spy.reads <= 2"""
FIRST = "def first(data):\n    return [data[k] for k in {}][0]\n"


@pytest.mark.parametrize(("base", "items"), [("list", "range(9)"), ("dict", "zip(range(9), range(9))")])
def test_data_that_count_how_they_are_used_are_counted_on(shell, base, items):
    test = SPY.format(base=base, items=items)
    assert noted(shell, test, reference=FIRST.format([0])) == {"0"}
    for keys, earned in (([0], 1), ([0, 1, 2, 3], 0)):
        assert graded(shell, FIRST.format(keys), test, FIRST.format([0])).only.points == earned


def test_data_with_methods_that_nothing_uses_are_data(shell):
    test = "class Named(list):\n    def __repr__(self):\n        return 'x'\n    def last(self):\n        pass\n"
    assert noted(shell, test + "assert first(Named([0, 1])) == 0", reference=FIRST.format([0])) == set()
