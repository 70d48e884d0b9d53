"""Series and frames whose labels meet no others: what a test computes with them is missing, and its sum is 0."""

from __future__ import annotations

import pytest

from .notebooks import answer, checked, given, material, submission
from .processes import calibrate, grade_forked

IMPORTS = given(
    "import numpy as np\nimport pandas as pd\ns = pd.Series([1.0, 2, 4])\nd = pd.DataFrame({'a': s, 'b': s})"
)
TWICE = "def twice(data):\n    return data * 2\n"
OF_SERIES = {
    "sum": "assert (twice(s) - s * 2).abs().sum() < 1e-6",
    "none": "assert not ((s * 2 - twice(s)).abs() > 1e-6).any()",
    "method": "assert twice(s).sub(s * 2).abs().sum() < 1e-6",
    "raises": "if (twice(s) / s - 2).abs().max() > 1e-6:\n    raise ValueError",
}
OTHER_SERIES = ["index=[7, 8, 9]", "index=['x', 'y', 'z']", "index=[0, 8, 9]"]
OF_FRAME = "assert (twice(d) - d * 2).abs().sum().sum() < 1e-6"
OTHER_FRAMES = [
    *("pd.DataFrame({'q': [7.0] * 3})", "pd.DataFrame({'a': [7.0], 'b': 7.0}, index=[9])"),
    "pd.Series([7.0], index=['q'])",
]


def graded(shell, reference, text, test):
    notebook = material(IMPORTS, answer(reference), checked(test))
    result = grade_forked(shell, notebook, submission(notebook, text), calibrate(shell, notebook)).only
    assert result.mode == "split"
    return result


@pytest.mark.parametrize("form", OF_SERIES)
@pytest.mark.parametrize("index", OTHER_SERIES)
def test_a_series_of_other_labels_differs_from_the_one_that_a_test_expects(shell, index, form):
    text = f"def twice(data):\n    return pd.Series([2.0, 7.0, 7.0], {index})\n"
    result = graded(shell, TWICE, text, OF_SERIES[form])
    assert result.points == 0
    assert result.message == "your code gives data with other labels than this test computes with"


@pytest.mark.parametrize("value", OTHER_FRAMES)
def test_so_does_a_frame(shell, value):
    assert graded(shell, TWICE, f"def twice(data):\n    return {value}\n", OF_FRAME).points == 0


@pytest.mark.parametrize("test", [*OF_SERIES.values(), OF_FRAME])
def test_the_same_labels_in_another_order_are_right(shell, test):
    assert graded(shell, TWICE, "def twice(data):\n    return (data + data)[::-1]\n", test).points == 1


def test_who_leaves_out_what_is_missing_anyway_is_right(shell):
    reference = "def steps(data):\n    return data.diff()\n"
    test = "assert (steps(s) - pd.Series([np.nan, 1, 2])).abs().max() < 1e-9"
    assert graded(shell, reference, "def steps(data):\n    return data.diff().dropna()\n", test).points == 1


def test_labels_may_meet_no_others_where_the_references_do_not(shell):
    test = "assert (twice(s) - pd.Series([2.0, 4, 8, 9])).abs().sum() < 1e-6\nassert len(twice(s)) == 3"
    assert graded(shell, TWICE, "def twice(data):\n    return data + data\n", test).points == 1


def test_so_they_may_where_the_test_says_what_is_filled_in(shell):
    test = "assert twice(s).sub(s * 2, fill_value=0).abs().sum() < 1e-6"
    zeros = "def twice(data):\n    return (data * 2).reindex(range(9), fill_value=0.0)\n"
    assert graded(shell, TWICE, zeros, test).points == 1


ADDED = "def added(frame):\n    return frame.assign(b=2 * frame.a)\n"
FRAMES = "ids = [1, 2, 3]\nframe, right = pd.DataFrame({'id': ids, 'a': s}), pd.DataFrame({'id': ids, 'c': 2 * s})\n"
JOINS = {
    "merge": "found = added(frame).merge(right, on='id')",
    "merge of pandas": "found = pd.merge(right, added(frame))",
    "outer merge": "found = added(frame).merge(right, on='id', how='outer').dropna()",
    "left merge": "found = right.merge(added(frame), on='id', how='left').dropna()",
    "join": "found = added(frame.set_index('id')).join(right.set_index('id'), how='inner')",
    "join on": "found = added(frame).join(right.set_index('id'), on='id', how='inner')",
    "side by side": "found = pd.concat([added(frame.set_index('id')), right.set_index('id')], axis=1, join='inner')",
}
OTHER_KEYS = (
    "def added(frame):\n    moved = frame.assign(b=7.0)\n    moved.index += 90\n"
    "    return moved.assign(id=moved['id'] + 90) if 'id' in moved else moved\n"
)
FIRST_ROW = "def added(frame):\n    return frame.assign(b=2 * frame.a).iloc[:1]\n"


@pytest.mark.parametrize("join", JOINS.values(), ids=JOINS)
@pytest.mark.parametrize("text", [OTHER_KEYS, FIRST_ROW])
def test_rows_that_a_join_leaves_out_are_not_right(shell, join, text):
    test = f"{FRAMES}{join}\nassert (found.b == found.c).all()"
    assert graded(shell, ADDED, text, test).points == 0
    assert graded(shell, ADDED, ADDED.replace("2 * frame.a", "frame.a + frame.a"), test).points == 1


def test_a_join_may_leave_out_rows_where_it_does_with_the_reference(shell):
    test = (
        f"{FRAMES}found = added(frame).merge(right[:2], on='id')\nassert (found.b == found.c).all() and len(found) == 2"
    )
    assert graded(shell, ADDED, "def added(frame):\n    return frame[:2].assign(b=2 * frame.a)\n", test).points == 1


@pytest.mark.parametrize("form", OF_SERIES)
@pytest.mark.parametrize("index", OTHER_SERIES)
def test_who_is_right_by_the_places_is_so_under_other_labels(shell, index, form):
    text = f"def twice(data):\n    return pd.Series(data.to_numpy() * 2, {index})\n"
    assert graded(shell, TWICE, text, OF_SERIES[form]).points == 1
    assert graded(shell, TWICE, text.replace("2, ", "2, dtype=object, "), OF_SERIES[form]).points == 1
    assert graded(shell, TWICE, text.replace("* 2", "* 3"), OF_SERIES[form]).points == 0


def test_so_is_a_frame(shell):
    text = "def twice(data):\n    return pd.DataFrame({'b': data.b * 2, 'a': data.a * 2}).set_axis([7, 8, 9])\n"
    assert graded(shell, TWICE, text, OF_FRAME).points == 1
    assert graded(shell, TWICE, text.replace("data.a *", "data.a **"), OF_FRAME).points == 0


def test_nobody_is_so_who_gives_fewer_items_than_the_test_goes_through_as_well(shell):
    test = f"{OF_SERIES['sum']}\nassert all(a == b for a, b in zip(list(twice(s)), [2, 4, 8]))"
    text = "def twice(data):\n    return pd.Series([2.0, 4, 8], [7, 8, 9])\n"
    assert graded(shell, TWICE, text, test).points == 1
    assert graded(shell, TWICE, text.replace(", 8], [7, 8,", "], [7,"), test).points == 0
