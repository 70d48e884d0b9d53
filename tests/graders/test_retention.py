"""How long a course may be kept: one line when the date has passed, and nothing else."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("nbgrader")

from studium.errors import CourseError
from studium_graders.course.course_file import read_course


@pytest.fixture
def course(make_course: Callable[..., Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(make_course(), tmp_path / "course"))


def keep(course: Path, until: str) -> None:
    text = (course / "course.toml").read_text("utf-8")
    (course / "course.toml").write_text(f"keep_until = {until}\n{text}", "utf-8")


COMMANDS = [("history",), ("late-days",), ("accommodations", "list"), ("classroom", "roster")]


def test_commands_that_open_a_course_say_in_one_line_that_its_date_has_passed(course, studium):
    keep(course, "2020-09-30")
    before = sorted(path for path in course.rglob("*") if ".studium" not in path.parts)
    for words in COMMANDS:
        code, _, err = studium(*words, "--course", str(course))
        assert code == 0
        assert err.splitlines() == [
            "studium: course101 was to be kept until 2020-09-30, which is past: archive what you must keep and delete "
            f"the rest, or change keep_until in {course / 'course.toml'}"
        ]
    assert sorted(path for path in course.rglob("*") if ".studium" not in path.parts) == before


def test_nothing_is_said_before_that_date(course, studium):
    keep(course, "9999-12-31")
    assert [studium(*words, "--course", str(course))[2] for words in COMMANDS] == [""] * len(COMMANDS)


def test_what_is_no_date_is_told(make_course):
    for until, got in {'"soon"': "text in quotes", "2027-09-30T10:00:00": "a date with a time"}.items():
        course = make_course()
        keep(course, until)
        with pytest.raises(CourseError, match=f"needs a date alone for keep_until: got {got}"):
            read_course(course)
