"""Data of pandas' cross as data, and what a student's process makes of them harms nobody."""

from __future__ import annotations

import struct
import time

import numpy as np
import pytest
from studium_graders.engine.judge_side.student_gone import StudentGone
from studium_graders.engine.material.limits import Limits

from .liar import HANGING, Liar, reply

pd = pytest.importorskip("pandas")

QUICK = Limits(call_seconds=2, message_mb=8)
MINE = """
import pandas as pd
import dateutil.tz
def made(text): return eval(text)
def sparse(df): df["s"] = pd.arrays.SparseArray([1, 0])
def sort(df): df["tags"][0].sort()
def double(df):
    array = df["tags"][0]
    array *= 2
def name(df): df["tags"][0].update(name="b")
def elsewhere(df): df["when"] = pd.date_range("2024", periods=2, tz=dateutil.tz.gettz("Europe/Berlin"))
"""


def numbers(*values):
    return struct.pack(f"{len(values)}q", *values)


def ranged(start, stop):
    return ["pandas", "range", start, stop, 1, None]


PAIR = ["array", [2], "<i8", 0, False]
ALONE = ["array", [], "<i8", 0, False]
INDEX = ["pandas", "index", PAIR, None]
MANY = ["range", 0, 10**8, 1]
MOMENT = ["number", "<M8[ns]", 0]
NO_DATA = {
    "no kind": ["pandas"],
    "an unknown kind": ["pandas", "nothing"],
    "too few parts": ["pandas", "frame", INDEX],
    "too many parts": ["pandas", "duration", ["number", "<m8[ns]", 0], 1],
    "an index longer than its columns": ["pandas", "frame", ranged(0, 1), ranged(0, 10**8), ["parts", PAIR]],
    "columns that are none": ["pandas", "frame", ranged(0, 1), ranged(0, 10**8), ["parts", MANY]],
    "an array where an index should be": ["pandas", "frame", PAIR, ranged(0, 2), ["parts", PAIR, PAIR]],
    "a range as a column": ["pandas", "series", ranged(0, 10**12), ranged(0, 10**12), None],
    "one number as a column": ["pandas", "series", ALONE, ranged(0, 1), None],
    "codes without end": ["pandas", "multi", ["parts", INDEX], ["parts", MANY], ["parts", "a"]],
    "levels without end": ["pandas", "multi", ["parts", MANY], ["parts", PAIR], ["parts", "a"]],
    "codes out of range": [
        "pandas",
        "series",
        ["pandas array", "categories", PAIR, ranged(0, 1), False],
        ranged(0, 2),
        None,
    ],
    "words without end": ["pandas", "series", ["pandas array", "strings", "python", True, MANY], ranged(0, 2), None],
    "words that are none": [
        "pandas",
        "series",
        ["pandas array", "strings", "python", True, ["parts", 1]],
        ranged(0, 2),
        None,
    ],
    "a kind of text": ["pandas", "series", ["pandas array", "strings", "os", True, ["parts", "a"]], ranged(0, 2), None],
    "a moment in words": ["pandas", "moment", "now", None],
    "a duration in words": ["pandas", "duration", "1 day"],
    "a file as a time zone": ["pandas", "moment", MOMENT, "../../etc/passwd"],
    "a file of dateutil's": ["pandas", "moment", MOMENT, "dateutil//etc/passwd"],
    "a time zone that is not there": ["pandas", "moment", MOMENT, "Europe/Nowhere"],
    "a list as a time zone": ["pandas", "moment", MOMENT, ["parts"]],
    "code as a frequency": ["pandas", "period", 1, "__import__('os')"],
    "a list as a frequency": ["pandas", "period", 1, ["parts"]],
    "numbers that cannot be missing": [
        "pandas",
        "series",
        ["pandas array", "masked", ["array", [2], ">i8", 0, False], ["array", [2], "|b1", 1, False]],
        ranged(0, 2),
        None,
    ],
    "bounds of no interval": ["pandas", "interval", ["parts"], ["parts"], "both"],
    "an unknown absence": ["pandas", "missing", "Nothing"],
}


@pytest.mark.parametrize("node", NO_DATA.values(), ids=NO_DATA)
def test_parts_of_no_data_end_the_student_before_anything_is_built(node):
    start = time.monotonic()
    with pytest.raises(StudentGone) as gone:
        Liar(reply(node, buffers=[numbers(1, 2), b"\0\1"]), limits=QUICK).ask()
    assert gone.value.verdict == "broken protocol"
    assert time.monotonic() - start < HANGING


@pytest.mark.parametrize(
    "text",
    [
        'pd.Series([1, 0, 0], dtype="Sparse[int]")',
        'pd.get_dummies(pd.Series(["a", "b"]), sparse=True)',
        'pd.date_range("2024", periods=3, freq="W-WED", tz="Europe/Berlin")',
        'pd.DataFrame({"a": ["x", None]}, index=pd.period_range("2024", periods=2, freq="M"))',
        'pd.DataFrame([[1, 2]], columns=["a", "a"])',
        "pd.cut(pd.Series([1, 2, 3]), 2)",
    ],
)
def test_values_arrive_as_they_are(make_student, text):
    found, expected = make_student(MINE).get("made")(text), eval(text)
    assert type(found) is type(expected)
    assert found.equals(expected)
    assert getattr(found, "dtypes", None) is None or str(found.dtypes) == str(expected.dtypes)


def test_a_frequency_without_a_name_is_left_out(make_student):
    text = 'pd.date_range("2024", periods=3, freq=pd.DateOffset(months=1))'
    found = make_student(MINE).get("made")(text)
    assert found.equals(eval(text))
    assert found.freq is None


@pytest.mark.parametrize(
    "text",
    [
        'pd.Timestamp("2024", tz=dateutil.tz.tzlocal())',
        'pd.date_range("2024", periods=3, tz="dateutil/Europe/Berlin")',
        'pd.DataFrame({"a": pd.date_range("2024", periods=3, tz="dateutil/Europe/Berlin")})',
    ],
)
def test_what_is_in_a_time_zone_without_a_name_stays_where_it_is(make_student, text):
    student = make_student(MINE)
    assert "2024-01-01" in str(student.get("made")(text))
    assert student.get("made")("1 + 1") == 2


def test_a_sparse_column_may_be_put_into_a_frame_of_the_tests(make_student):
    frame = pd.DataFrame({"a": [1, 2]})
    make_student(MINE, recording=False).get("sparse")(frame)
    assert frame["s"].tolist() == [1, 0]


def test_what_cannot_be_sent_back_is_an_error_of_the_call(make_student):
    student = make_student(MINE, recording=False)
    with pytest.raises(TypeError, match="what was put into this DataFrame cannot be sent back"):
        student.get("elsewhere")(pd.DataFrame({"a": [1, 2]}))
    assert student.get("made")("1 + 1") == 2


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("sort", ["b", "a"], ["a", "b"]),
        ("name", {"name": "a"}, {"name": "b"}),
        ("double", np.array([1.0, 2.0]), np.array([2.0, 4.0])),
    ],
)
def test_what_is_in_a_cell_of_a_frame_is_seen_to_be_changed_in_place(make_student, name, before, after):
    frame = pd.DataFrame({"tags": [before, None]})
    make_student(MINE, recording=False).get(name)(frame)
    assert np.array_equal(frame["tags"][0], after)
