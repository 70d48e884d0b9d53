"""course.toml: what it means, and the sentence for each way to break it."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from studium.errors import CourseError, UnknownNameError
from studium_graders.course.course_file import read_course

GOOD = """
id = "gen-ai"
title = "Generative AI"
timezone = "Europe/Berlin"

[[assignments]]
name = "ps1"
due = 2026-07-01T12:00:00
topics = ["lora"]
points = { "lora.merge" = 5 }

[[assignments]]
name = "ps2"
due = 2026-07-01T12:00:00+00:00
exercises = ["ddpm.q_sample", "ddpm.posterior"]
experiments = true

[late]
policy = "per-day"
penalty_percent = 10
"""


def course_with(root: Path, text: str) -> Path:
    (root / "course.toml").write_text(text, "utf-8")
    return root


def test_a_due_date_without_a_time_zone_is_in_the_time_zone_of_the_course(tmp_path: Path) -> None:
    course = read_course(course_with(tmp_path, GOOD))
    assert course.due_for_nbgrader(course.assignment("ps1")) == datetime(2026, 7, 1, 10)
    assert course.due(course.assignment("ps2")) == datetime(2026, 7, 1, 12, tzinfo=UTC)
    course = read_course(course_with(tmp_path, GOOD.replace("due = 2026-07-01T12:00:00\n", "", 1)))
    assert course.due_for_nbgrader(course.assignment("ps1")) is None


def test_an_unknown_assignment_is_answered_with_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown assignment 'ps3'; did you mean 'ps[12]'\?"):
        read_course(course_with(tmp_path, GOOD)).assignment("ps3")


BROKEN = {
    "no TOML": (("[late]", "[late"), "must be valid TOML: expected ']' .*line 18.*correct that line"),
    "wrong type": (('id = "gen-ai"', "id = 7"), "needs text in quotes for id: got a whole number; change it"),
    "wrong type inside": (('["lora"]', '"lora"'), r"needs a list in \[ \] for topics of assignment 1: got text in"),
    "wrong item": (('["lora"]', "[3]"), "needs text in quotes for topic 1 of assignment 1: got a whole number"),
    "a date alone": (("2026-07-01T12:00:00\n", "2026-07-01\n"), "needs a date with a time, .* of assignment 1: got"),
    "no date": (
        ("2026-07-01T12:00:00\n", '"soon"\n'),
        "needs a date with a time, .* for due of assignment 1: got text in quotes; write a date without them",
    ),
    "unknown key": (("title =", "titel ="), r"has the unknown key 'titel'; did you mean 'title'\?"),
    "unknown key inside": (("topics =", "topcs ="), r"unknown key 'topcs' in assignment 1; did you mean 'topics'\?"),
    "unknown key in late": (("penalty_percent", "penalty"), r"'penalty' in late; did you mean 'penalty_percent'\?"),
    "missing key": (('name = "ps2"', ""), "needs the key 'name' in assignment 2; add it"),
    "unknown policy": (('"per-day"', '"per-dya"'), r"unknown value 'per-dya' .*; did you mean 'per-day'\?"),
    "too much": (("percent = 10", "percent = 101"), "needs a number <= 100 for penalty_percent of late; change it"),
    "no points": (("= 5 }", "= 0 }"), "needs a number > 0 for points of assignment 1; change it"),
    "dotted points": (
        ('"lora.merge" = 5', "lora.merge = 5"),
        'got a table; write a name with a dot in quotes, such as { "lora.merge" = 5 }',
    ),
    "endless points": (("= 5 }", "= inf }"), "needs a number <= 1000000 for points of assignment 1; change it"),
    "endless time": (("[late]", "limits = { call_seconds = inf }\n[late]"), "needs a number <= 1000000 for call_sec"),
    "no memory has it": (
        ("[late]", "limits = { memory_mb = 3000000000 }\n[late]"),
        "needs a whole number <= 2147483647 for mem",
    ),
    "no such day": (
        ("2026-07-01T12:00:00\n", "9999-12-31T23:59:00-08:00\n"),
        "needs a due date in the years 1 to 9999 f",
    ),
    "a long number": (("= 5 }", f"= {'5' * 5000} }}"), "must be valid TOML: exceeds the limit .*; correct that line"),
    "another date": (
        ("2026-07-01T12:00:00\n", "1.7.2026\n"),
        r"must be valid TOML: .* \(at line \d+, column \d+\); correct that line: due = 1\.7\.2026$",
    ),
    "many brackets": (("= 5 }", f"= {'[' * 2000} }}"), "must be valid TOML: .*; correct that line"),
    "no penalty": (("penalty_percent = 10", ""), "needs penalty_percent in late for the policy 'per-day'; add one"),
    "same name": (('"ps2"', '"ps1"'), "needs a unique name for each assignment: 'ps1' appears twice; rename one"),
    "refused name": (('"ps2"', '"ps+2"'), "needs names of letters, .*: got 'ps\\+2'; rename it"),
    "a path": (('"ps2"', '"../ps2"'), "needs names of letters, .*: got '../ps2'"),
    "a bad id": (('"gen-ai"', '"gen ai"'), "needs names of letters, .*: got 'gen ai'"),
    "twice": (('["lora"]', '["lora", "lora"]'), "names 'lora' twice in the assignment 'ps1'; remove one"),
    "in its topic": (
        ('["lora"]', '["lora"]\nexercises = ["lora.merge"]'),
        "'lora.merge' in 'ps1' as well as its whole",
    ),
    "no exercise": (('"ddpm.q_sample"', '"ddpm"'), "needs \"topic.exercise\" for an exercise of 'ps2': got 'ddpm'"),
    "no time zone": (('"Europe/Berlin"', '"Europe/Berln"'), r"timezone 'Europe/Berln'; did you mean 'Europe/Berlin'\?"),
}


def test_a_broken_course_file_gets_one_sentence(tmp_path: Path) -> None:
    for (old, new), sentence in BROKEN.values():
        assert old in GOOD
        with pytest.raises(CourseError, match=f"course.toml .*{sentence}") as raised:
            read_course(course_with(tmp_path, GOOD.replace(old, new)))
        assert "\n" not in str(raised.value)


def test_a_mark_of_utf_8_before_the_text_is_no_part_of_it(tmp_path: Path) -> None:
    (tmp_path / "course.toml").write_bytes(b'\xef\xbb\xbfid = "c"\n')
    assert read_course(tmp_path).id == "c"


OTHERWISE = {
    b'id = "gen-ai"\n\n[assignments]\nname = "ps1"\n': r"got a table; write \[\[assignments\]\] in two brackets",
    b'id = "c"\ntimezone = "Qqqq"\n': "there is UTC, Africa/Abidjan, Africa/Accra, .* more$",
    b'id = "caf\xe9"': "must be UTF-8 text: byte 9 is not; save it as UTF-8",
}


def test_another_file_and_none_get_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(
        CourseError, match=r"needs the file .*course\.toml, which does not exist; run studium new course"
    ):
        read_course(tmp_path)
    for content, sentence in OTHERWISE.items():
        (tmp_path / "course.toml").write_bytes(content)
        with pytest.raises(CourseError, match=sentence):
            read_course(tmp_path)
