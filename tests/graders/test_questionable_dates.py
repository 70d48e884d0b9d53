"""Dates that are possible but look like slips are asked about while the assignment is built."""

from datetime import UTC, datetime
from pathlib import Path

from studium_graders.assignments.questionable_dates import questions
from studium_graders.course.course_file import read_course

COURSE = 'id = "genai"\ntimezone = "Europe/Berlin"\n\n[[assignments]]\nname = "ps1"\n'
NOW = datetime(2026, 6, 1, tzinfo=UTC)


def asked(folder: Path, dates: str) -> list[str]:
    (folder / "course.toml").write_text(COURSE + dates)
    course = read_course(folder)
    return questions(course, course.assignment("ps1"), NOW)


ODD = {
    "opens = 2026-09-02T08:00:00\ndue = 2026-09-01T23:59:00": "has opens = 2026-09-02 08:00 CEST, which is after due",
    "due = 2026-09-03T08:00:00\ncloses = 2026-09-01T23:59:00": "which is after closes = 2026-09-01 23:59 CEST",
    "opens = 2026-09-03T08:00:00\ncloses = 2026-09-01T23:59:00": "has opens = 2026-09-03 08:00 CEST",
    "due = 2025-12-01T23:59:00": "was due on 2025-12-01 23:59 CET, which is in the past; if this is a slip",
}


def test_a_date_that_hardly_anybody_means_is_asked_about(tmp_path):
    for dates, words in ODD.items():
        (question,) = asked(tmp_path, dates)
        assert question.startswith("ps1 ")
        assert words in question
        assert question.endswith("correct it in course.toml")


def test_dates_in_their_order_are_not_asked_about(tmp_path):
    ordered = "opens = 2026-01-01T00:00:00\ndue = 2026-07-01T00:00:00\ncloses = 2026-07-02T00:00:00Z"
    for dates in ("", "due = 2026-06-30T23:59:00", ordered):
        assert asked(tmp_path, dates) == []
