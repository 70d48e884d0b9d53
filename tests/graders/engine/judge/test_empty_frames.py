"""Data of pandas' without elements pass any test of all elements: where the reference has some, they earn nothing."""

from __future__ import annotations

import pytest

from .notebooks import answer, checked, given, material, submission
from .processes import calibrate, grade_forked

pytest.importorskip("pandas")

IMPORTS = given("import numpy as np\nimport pandas as pd")
ADULTS = "def adults(df):\n    return df[df.age >= 18]\n"
PEOPLE = 'people = pd.DataFrame({"name": ["a", "b", "c"], "age": [30, 15, 41]})\n'
OF_FRAMES = {
    "all rows": "assert (adults(people).age >= 18).all()",
    "none missing": "assert not adults(people).isna().any().any()",
    "missing counted": "assert adults(people).isna().sum().sum() == 0",
    "no duplicates": "assert not adults(people).duplicated().any()",
    "ordered": "assert adults(people).age.is_monotonic_increasing",
    "row by row": 'for _, row in adults(people).iterrows():\n    assert row["age"] >= 18',
}
FRAMES = {
    "numbers": 'pd.DataFrame({"age": []})',
    "whole numbers that may be missing": 'pd.DataFrame({"age": pd.array([], dtype="Int64")})',
    "truth values": 'pd.DataFrame({"age": pd.array([], dtype="boolean")})',
    "objects": 'pd.DataFrame({"age": pd.Series([], dtype=object)})',
    "categories": 'pd.DataFrame({"age": pd.Categorical([], categories=[20], ordered=True)})',
    "several levels": 'pd.DataFrame({"age": []}, index=pd.MultiIndex.from_arrays([[], []]))',
    "rows without columns": "pd.DataFrame(index=range(3))",
}
MASK = "def mask(s):\n    return s > 0\n"
OF_MASKS = {
    "all": "assert mask(pd.Series([1, 2])).all()",
    "not any": "assert not mask(pd.Series([-1, -2])).any()",
    "all of numpy": "assert mask(np.array([1, 2])).all()",
    "not any of numpy": "assert not mask(np.array([-1, -2])).any()",
}
MASKS = {
    **{kind: f'pd.Series([], dtype="{kind}")' for kind in ("bool", "boolean", "Int64", "float", "object", "string")},
    **{f"array of {kind}": f'pd.array([], dtype="{kind}")' for kind in ("boolean", "Int64")},
    "array of numpy": "np.array([], bool)",
    "index": "pd.Index([], dtype=bool)",
    "range": "pd.RangeIndex(0)",
    "periods": 'pd.PeriodIndex([], freq="D")',
    "levels": "pd.MultiIndex.from_arrays([[], []])",
}


def graded(shell, reference, text, test):
    notebook = material(IMPORTS, answer(reference), checked(test))
    calibration = calibrate(shell, notebook)
    assert not calibration.one_process
    assert grade_forked(shell, notebook, submission(notebook, reference), calibration).only.points == 1
    return grade_forked(shell, notebook, submission(notebook, text), calibration).only


@pytest.mark.parametrize("test", OF_FRAMES.values(), ids=OF_FRAMES)
@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
def test_a_frame_without_elements_passes_no_test_of_all(shell, test, frame):
    result = graded(shell, ADULTS, f"def adults(df):\n    return {frame}\n", PEOPLE + test)
    assert (result.outcome, result.points) == ("failed", 0)


@pytest.mark.parametrize("test", OF_MASKS.values(), ids=OF_MASKS)
@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
def test_nor_does_a_series_an_index_or_an_array(shell, test, mask):
    result = graded(shell, MASK, f"def mask(s):\n    return {mask}\n", test)
    assert (result.outcome, result.points) == ("failed", 0)
    assert "disturbed" not in result.message


def test_one_that_the_reference_gives_is_right(shell):
    text = "def adults(df):\n    return df.query('age >= 18')\n"
    assert graded(shell, ADULTS, text, PEOPLE + "assert adults(people[people.age < 18]).empty").points == 1


@pytest.mark.parametrize("empty", ["pd.RangeIndex(0)", "pd.MultiIndex.from_arrays([[], []])", "pd.DataFrame()"])
def test_one_that_no_test_looks_at_costs_nothing(shell, empty):
    reference = "def fit(x):\n    return {'mean': x.mean()}\n"
    text = f"def fit(x):\n    return {{'mean': x.mean(), 'more': {empty}}}\n"
    assert graded(shell, reference, text, "assert fit(pd.Series([1, 3]))['mean'] == 2").points == 1
