"""When submissions were handed in, from the learning management system's own table."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("nbgrader")

from studium.errors import CourseError
from studium_graders.engine.intake.timestamps import read_timestamp
from studium_graders.lms.matching import Person
from studium_graders.lms.times import read_times, stamp

from .conftest import submitted

PEOPLE = (Person("ada", "ada@x.example"), Person("bob", "bob@x.example"))
BERLIN = ZoneInfo("Europe/Berlin")
BOTH = {"aa_71_900_lora.ipynb": "hers", "bb_LATE_72_903_lora.ipynb": "his"}


def read(tmp_path, text, system="canvas", zone=BERLIN):
    (tmp_path / "times.csv").write_text(text, "utf-8")
    return read_times(tmp_path / "times.csv", system, PEOPLE, zone)


TIMES = [
    ("canvas", "SIS Login ID,Submitted at\nada,2026-03-03T22:59:00Z\n"),
    ("canvas", "student,submitted_at\nada,2026-03-03 23:59\nbob,\n"),
    ("canvas", "Email,Time\nADA@x.example,2026-03-03 23:59 +01:00\n"),
    (
        "moodle",
        'Email address,Last modified (submission)\nada@x.example,"Tuesday, 3 March 2026, 11:59 PM"\nbob@x.example,-\n',
    ),
    ("moodle", "E-Mail-Adresse;Zuletzt geändert (Abgabe)\nada@x.example;03.03.2026 23:59\n"),
]


def test_times_are_read_in_the_courses_zone_unless_they_name_one_and_a_row_without_one_says_nothing(tmp_path):
    for system, text in TIMES:
        assert read(tmp_path, text, system) == {"ada": datetime(2026, 3, 3, 22, 59, tzinfo=UTC)}


UNCERTAIN = [
    ("student,grade\nada,3\n", BERLIN, "needs a column with the times, such as Submitted at"),
    ("student,time\nada,yesterday\n", BERLIN, "must be a date and a time of day: got 'yesterday' in line 2"),
    ("student,time\nada,23:59\n", BERLIN, "must be a date and a time of day: got '23:59' in line 2"),
    (
        "student,time\nada,2026-03-03 23:59 XYZ\n",
        BERLIN,
        "must be a date and a time of day: got '2026-03-03 23:59 XYZ'",
    ),
    ("student,time\nada,03/04/2026 23:59\n", BERLIN, "must name its day for certain: '03/04/2026 23:59' in line 2"),
    ("student,time\nada,2026-03-03 23:59\n", None, "needs a zone where the course has no course.toml"),
    ("student,time\nada,2026-03-03 1:00\nada,2026-03-03 2:00\n", BERLIN, "each student must have only one row"),
]


def test_a_time_that_is_not_certain_is_one_sentence(tmp_path):
    for text, zone, words in UNCERTAIN:
        with pytest.raises(CourseError) as caught:
            read(tmp_path, text, zone=zone)
        assert words in str(caught.value)


@given(st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1)).map(lambda when: when.replace(microsecond=0)))
def test_what_is_written_is_what_nbgrader_reads(when):
    assert read_timestamp(stamp(when.replace(tzinfo=BERLIN)).decode()) == when.replace(tzinfo=BERLIN).astimezone(
        UTC
    ).replace(tzinfo=None)


def test_each_submission_gets_its_time_and_who_is_late_in_canvas_without_one_is_named(course, collect):
    (course / "times.csv").write_text("SIS Login ID,Submitted at\nada,2026-03-03T22:59:00Z\n")
    code, out, err = collect("canvas", BOTH, "--times", str(course / "times.csv"))
    assert (code, err) == (0, "")
    found = submitted(course)
    assert found["ada/ps1/timestamp.txt"] == "2026-03-03 22:59:00 UTC\n"
    assert "bob/ps1/timestamp.txt" not in found
    assert "timestamp.txt written for: ada" in out
    assert "late in Canvas, but not here, since there is no timestamp.txt: bob" in out


def test_submissions_that_were_there_get_the_time_that_they_lack_and_keep_the_one_that_they_have(course, collect):
    collect("canvas", BOTH)
    (course / "submitted" / "bob" / "ps1" / "timestamp.txt").write_text("2026-03-01 10:00:00 UTC")
    (course / "times.csv").write_text("student,time\nada,2026-03-03 22:59 UTC\nbob,2026-03-03 22:59 UTC\n")
    code, out, _ = collect("canvas", BOTH, "--times", str(course / "times.csv"), "--dry-run", "--json")
    assert (code, json.loads(out)["timed"], json.loads(out)["kept"]) == (0, ["ada"], ["ada", "bob"])
    assert "ada/ps1/timestamp.txt" not in submitted(course)
    collect("canvas", BOTH, "--times", str(course / "times.csv"))
    found = submitted(course)
    assert found["ada/ps1/timestamp.txt"] == "2026-03-03 22:59:00 UTC\n"
    assert found["bob/ps1/timestamp.txt"] == "2026-03-01 10:00:00 UTC"


def test_a_table_that_cannot_be_used_leaves_everything_unwritten(course, collect):
    (course / "times.csv").write_text("student,time\nada,soon\n")
    code, _, err = collect("canvas", BOTH, "--times", str(course / "times.csv"))
    assert (code, "got 'soon' in line 2" in err) == (1, True)
    assert submitted(course) == {}
