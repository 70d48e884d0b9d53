"""Data of pandas' cross as data, of the very same type, and are changed in place on both sides."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.extra.pandas import column, data_frames, range_indexes
from studium_graders.engine.kinds.proxies import is_proxy

TABLE = pd.DataFrame({"k": ["a", "a", "b"], "l": [1, 2, 1], "v": [1, 2, 3]})
DAYS = pd.date_range("2026-03-28", periods=3)
VALUES: dict[str, Any] = {
    "columns of many kinds": pd.DataFrame({"a": [1, 2], "b": [1.5, np.nan], "c": ["x", None], "d": [True, False]}),
    "nothing": pd.DataFrame(),
    "columns without rows": pd.DataFrame(columns=["a", "b"]),
    "rows without columns": pd.DataFrame(index=["a", "b"]),
    "names that are not unique": pd.DataFrame([[1, 2], [3, 4]], columns=["a", "a"], index=[5, 5]),
    "two levels of rows": TABLE.set_index(["k", "l"]),
    "two levels of columns": TABLE.groupby("k").agg({"v": ["mean", "sum"]}),
    "a named row of columns": TABLE.pivot_table(index="k", columns="l", values="v"),
    "a series with a name": pd.Series([1, 2], index=["x", "y"], name=("a", 1), dtype="int8"),
    "complex numbers": pd.Series([1j, 2]),
    "objects": pd.Series([1, "x", None, 2.5, (1, 2)], dtype=object),
    "days": pd.Series(range(3), index=DAYS),
    "business days": pd.Series(range(3), index=pd.date_range("2026-03-28", periods=3, freq="B")),
    "seconds": pd.Series(np.array(["2026-01-01"], "M8[s]")),
    "a time zone": pd.Series(pd.date_range("2026-03-28", periods=3, tz="Europe/Berlin")),
    "a fixed offset": pd.Series(pd.date_range("2026-03-28", periods=3, tz="UTC+02:00")),
    "durations": pd.Series(pd.to_timedelta([1, 2], unit="h")),
    "categories": pd.Series(["a", "b", None], dtype="category"),
    "missing whole numbers": pd.Series([1, None], dtype="Int64"),
    "missing truths": pd.Series([True, None], dtype="boolean"),
    "missing bytes": pd.Series([1, None], dtype="UInt8"),
    "words": pd.Series(["a", None], dtype="string"),
    "periods": pd.Series(pd.period_range("2026-01", periods=3, freq="M")),
    "an index of periods": pd.period_range("2026-01", periods=3, freq="Q-DEC"),
    "intervals": pd.cut(pd.Series([1, 2, 3]), 2),
    "a moment": pd.Timestamp("2026-03-28 12:00", tz="Europe/Berlin"),
    "a day": pd.Timestamp("2026-03-28"),
    "a duration": pd.Timedelta("90min"),
    "a period": pd.Period("2026-01"),
    "an interval": pd.Interval(0, 1.5, closed="both"),
    "no moment": pd.NaT,
    "no value": pd.NA,
    "a range": pd.RangeIndex(3, name="r"),
    "an empty index": pd.Index([]),
    "an index of pairs": pd.Index([("a", 1), ("b", 2)], tupleize_cols=False),
    "an index of categories": pd.CategoricalIndex(["a", "b"]),
    "levels": pd.MultiIndex.from_product([[1, 2], ["a"]], names=["x", None]),
}


def assert_same(value: Any, other: Any) -> None:
    assert type(value) is type(other)
    if isinstance(value, pd.DataFrame):
        pd.testing.assert_frame_equal(value, other, check_freq=True)
    elif isinstance(value, pd.Series):
        pd.testing.assert_series_equal(value, other, check_freq=True)
    elif isinstance(value, pd.Index):
        pd.testing.assert_index_equal(value, other, exact=True)
    elif isinstance(value, pd.api.extensions.ExtensionArray):
        pd.testing.assert_extension_array_equal(value, other)
    else:
        assert value is other or (value == other and str(value) == str(other))


@pytest.fixture(scope="module")
def same(make_module_student):
    return make_module_student("def same(value):\n    return value").get("same")


@pytest.fixture(scope="module")
def rebuilt(make_module_student):
    """Return a function that has the student's process build the value anew."""
    source = "import copy\ndef rebuilt(value):\n    return copy.deepcopy(value)"
    return make_module_student(source).get("rebuilt")


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_a_value_stays_what_it_is(rebuilt, value) -> None:
    found = rebuilt(value)
    assert_same(value, found)


COLUMNS = [
    column("whole", dtype=np.int32),
    column("real", dtype=np.float64),
    column("truth", dtype=bool),
    column("small", dtype=np.uint8),
]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data_frames(COLUMNS, index=range_indexes(max_size=6)))
def test_any_frame_of_numbers_stays_what_it_is(rebuilt, frame) -> None:
    assert_same(frame, rebuilt(frame))


def test_what_comes_back_unchanged_is_the_tests_own(same) -> None:
    assert same(TABLE) is TABLE


CHANGES = {
    "a column is added": "d['new'] = d['l'] * 2",
    "a column is dropped": "del d['k']",
    "a cell is set": "d.loc[0, 'v'] = 9",
    "rows are dropped": "d.drop(index=0, inplace=True)",
    "the index is named": "d.index.name = 'n'",
    "the columns are renamed": "d.columns = list('xyz')",
    "a kind is changed": "d['v'] = d['v'].astype(float)",
}


@pytest.mark.filterwarnings("ignore:The inplace keyword")
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_frame_that_a_function_changes_in_place_is_changed_for_the_test(make_student, change) -> None:
    change_it = make_student(f"def change(d):\n    {change}").get("change")
    here, there = TABLE.copy(), TABLE.copy()
    exec(change, {"d": here})
    assert change_it(there) is None
    assert_same(here, there)


def test_a_series_too(make_student) -> None:
    series = pd.Series([1, 2, 3])
    assert make_student("def change(s):\n    s[0] = 7").get("change")(series) is None
    assert series.tolist() == [7, 2, 3]


NAMELESS = "import dateutil.tz\nimport pandas as pd\nZONE = dateutil.tz.gettz('Europe/Berlin')\n"


def test_a_column_of_a_kind_that_is_not_known_is_no_data(make_student) -> None:
    column = "pd.Series(pd.date_range('2024', periods=2, tz=ZONE))"
    assert is_proxy(make_student(f"{NAMELESS}def f():\n    return {column}").get("f")())


def test_who_has_no_pandas_in_a_test_gets_what_it_is_all_the_same(make_student) -> None:
    frame = make_student("import pandas as pd\nframe = pd.DataFrame({'a': [1]})").get("frame")
    assert frame["a"].tolist() == [1]


def test_a_date_in_a_column_stays_a_date(same) -> None:
    day = datetime.date(2026, 3, 28)
    assert same(pd.DataFrame({"d": [day]}))["d"][0] == day
