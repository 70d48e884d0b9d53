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


SQUARES = "def squares(x):\n    return x * x\n"
OF_SQUARES = {
    "np.all": "x = np.arange(3)\nassert np.all(squares(x) == x**2)",
    "all": "x = pd.Series(range(3))\nassert (squares(x) == x**2).all()",
    "signs": "assert (squares(pd.Series([-1.0, 1])) > 0).all()",
}
MISSING = {
    "whole numbers": 'pd.Series([pd.NA] * len(x), dtype="Int64")',
    "numbers": 'pd.Series([pd.NA] * len(x), dtype="Float64")',
    "texts": 'pd.Series([pd.NA] * len(x), dtype="string")',
    "truth values": 'pd.array([pd.NA] * len(x), dtype="boolean")',
    "an index": 'pd.Index([pd.NA] * len(x), dtype="Int64")',
    "one of them": 'pd.Series([*x[:-1] ** 2, pd.NA], dtype="Int64")',
    "a frame": 'pd.DataFrame({"x": pd.array([pd.NA] * len(x), dtype="Int64")})',
}


@pytest.mark.parametrize("test", OF_SQUARES.values(), ids=OF_SQUARES)
@pytest.mark.parametrize("missing", MISSING.values(), ids=MISSING)
def test_missing_elements_equal_nothing(shell, test, missing):
    assert graded(shell, SQUARES, f"def squares(x):\n    return {missing}\n", test).points == 0


@pytest.mark.parametrize(
    "test",
    [
        "assert means(people).isna().sum() == 1 and means(people)['a'] == 2",
        "assert means(people).dropna().tolist() == [2]",
        "assert list(means(people).index) == ['a', 'b'] and means(people).name == 'age'",
    ],
)
@pytest.mark.parametrize("kind", ["Int64", "Float64", "object"])
def test_missing_elements_where_the_reference_has_nan_are_right(shell, test, kind):
    people = "people = pd.DataFrame({'name': ['a', 'a', 'b'], 'age': [1, 3, None]})\n"
    reference = "def means(df):\n    return df.groupby('name')['age'].mean()\n"
    text = f"def means(df):\n    return df.groupby('name')['age'].mean().astype('{kind}')\n"
    assert graded(shell, reference, text, people + test).points == 1


@pytest.mark.parametrize(
    "form", ["np.array({})", "{}", "tuple({})", "dict(enumerate({}))", "pd.Series({}, dtype=float)"]
)
def test_nothing_but_missing_elements_where_the_reference_gives_that_in_another_form_is_right(shell, form):
    found = "def means(x):\n    found = [np.nan] * 2 if len(x) == 0 else [x.mean(), 1.0]\n"
    reference, text = (f"{found}    return {shape.format('found')}\n" for shape in (form, "pd.Series({})"))
    test = "assert np.isnan(means(np.array([]))[1]) and means(np.ones(3))[0] == 1"
    assert graded(shell, reference, text, test).points == 1


NAN = {"a series": "pd.Series([np.nan] * 3)", "objects": "pd.Series([None] * 3, dtype=object)"}


@pytest.mark.parametrize("missing", NAN.values(), ids=NAN)
def test_a_series_of_nothing_but_missing_elements_passes_no_sum_of_differences(shell, missing):
    test = "x = pd.Series([1.0, 2, 3])\nassert (squares(x) - x**2).abs().sum() == 0"
    assert graded(shell, SQUARES, f"def squares(x):\n    return {missing}\n", test).points == 0


@pytest.mark.parametrize("kind", ["Int64", "string"])
def test_missing_elements_that_no_test_asks_for_cost_nothing(shell, kind):
    text = ADULTS.replace("18]", f"18].assign(more=pd.array([None, None], dtype='{kind}'))")
    test = "assert list(adults(people).name) == ['a', 'c'] and (adults(people).age > 18).all()"
    assert graded(shell, ADULTS, text, PEOPLE + test).points == 1
