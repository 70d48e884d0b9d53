"""The late budget: days on the clock of the course, spent in the order of due dates, and what they take off."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

pytest.importorskip("nbgrader")

import msgspec
from nbgrader.api import Gradebook
from studium.catalogue.catalogue import Catalogue
from studium.exercises.sources import solved
from studium_graders.assignments.building import build_assignment
from studium_graders.course.course_file import Course
from studium_graders.grading.late.budget import extensions, spend

BERLIN, NEW_YORK, KOLKATA = "Europe/Berlin", "America/New_York", "Asia/Kolkata"
PER_DAY = {"policy": "per-day", "penalty_percent": 10}


def course(timezone: str, *dues: str, late: dict | None = None, extended: str = "") -> Course:
    """A course with the assignments ps1, ps2, … and three late days."""
    read = datetime.fromisoformat
    assignments = [{"name": f"ps{n}", "due": read(due)} for n, due in enumerate(dues, 1)]
    given = [{"student": "ada", "assignment": "ps1", "until": read(extended)}] if extended else []
    data = {"id": "c", "timezone": timezone, "assignments": assignments, "extensions": given}
    return msgspec.convert(data | {"late": PER_DAY | {"late_days": 3} | (late or {})}, Course)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# name, time zone, due, received (UTC), settings, days late, hours that the due date moves
CASES = [
    ("in time", BERLIN, "2026-06-01T23:59", "2026-06-01T21:59:00", {}, 0, 0),
    ("a second late", BERLIN, "2026-06-01T23:59", "2026-06-01T21:59:01", {}, 1, 24),
    ("a day late, to the second", BERLIN, "2026-06-01T23:59", "2026-06-02T21:59:00", {}, 1, 24),
    ("a day and a second late", BERLIN, "2026-06-01T23:59", "2026-06-02T21:59:01", {}, 2, 48),
    ("a day of 23 hours", BERLIN, "2026-03-28T23:59", "2026-03-29T21:59:00", {}, 1, 23),
    ("after a day of 23 hours", BERLIN, "2026-03-28T23:59", "2026-03-29T22:30:00", {}, 2, 47),
    ("a day of 25 hours", BERLIN, "2026-10-24T23:59", "2026-10-25T22:59:00", {}, 1, 25),
    ("a due hour that the clock skips", BERLIN, "2026-03-29T02:30", "2026-03-29T01:30:00", {}, 0, 0),
    ("a due hour that comes twice: the first", BERLIN, "2026-10-25T02:30", "2026-10-25T00:31:00", {}, 1, 25),
    ("clocks that change elsewhere on another day", NEW_YORK, "2026-03-07T23:59", "2026-03-09T03:59:00", {}, 1, 23),
    ("a zone of half hours without daylight saving", KOLKATA, "2026-03-28T23:59", "2026-03-29T18:29:00", {}, 1, 24),
    ("a due date with an offset of its own", BERLIN, "2026-06-01T23:59:00-07:00", "2026-06-02T06:59:01", {}, 1, 24),
    ("within the grace", BERLIN, "2026-06-01T23:59", "2026-06-01T22:14:00", {"grace_minutes": 15}, 0, 0),
    ("a second beyond the grace", BERLIN, "2026-06-01T23:59", "2026-06-01T22:14:01", {"grace_minutes": 15}, 1, 24),
    ("within the grace of a late day", BERLIN, "2026-06-01T23:59", "2026-06-02T22:14:00", {"grace_minutes": 15}, 1, 24),
    ("more than there are", BERLIN, "2026-06-01T23:59", "2026-06-06T12:00:00", {}, 5, 72),
    ("too many, where late is lost", BERLIN, "2026-06-01T23:59", "2026-06-06T12:00", {"policy": "zero"}, 5, 0),
    ("enough, where late is lost", BERLIN, "2026-06-01T23:59", "2026-06-04T12:00", {"policy": "zero"}, 3, 72),
    ("nothing to lessen without a policy", BERLIN, "2026-06-01T23:59", "2026-06-04T12:00", {"policy": "none"}, 3, 0),
]  # fmt: skip


def test_late_days_move_the_due_date_on_the_clock():
    for name, zone, due, received, late, days, hours in CASES:
        term, when = course(zone, due, late=late), utc(received)
        (spent,) = spend(term, "ada", {"ps1": when})
        assert spent.late == days, name
        assert extensions(term, "ps1", {})("ada", when) == timedelta(hours=hours), name
        assert spent.left == 3 - spent.spent, name


def test_days_are_spent_in_the_order_of_due_dates_and_not_of_the_file():
    term = course(BERLIN, "2026-06-20T23:59", "2026-06-10T23:59", "2026-06-30T23:59")
    two_late = {"ps1": utc("2026-06-22T20:00"), "ps2": utc("2026-06-12T20:00"), "ps3": utc("2026-07-01T20:00")}
    spent = spend(term, "ada", two_late)
    assert [(one.assignment, one.late, one.spent, one.left) for one in spent] == [
        ("ps2", 2, 2, 1),
        ("ps1", 2, 1, 0),
        ("ps3", 1, 0, 0),
    ]


def test_an_extension_comes_first_and_days_are_counted_from_its_end():
    term = course(BERLIN, "2026-06-01T23:59", extended="2026-06-05T12:00")
    when = utc("2026-06-06T09:00")
    (spent,) = spend(term, "ada", {"ps1": when})
    assert (spent.late, spent.spent, f"{spent.due:%d %H:%M}") == (1, 1, "05 12:00")
    assert extensions(term, "ps1", {})("ada", when) == timedelta(days=3, hours=12, minutes=1) + timedelta(days=1)


def test_without_a_time_nothing_is_spent_and_without_a_budget_nothing_is_said():
    term = course(BERLIN, "2026-06-01T23:59")
    assert [one.spent for one in spend(term, "ada", {})] == [0]
    none = course(BERLIN, "2026-06-01T23:59", late={"late_days": 0})
    assert extensions(none, "ps1", {})("ada", utc("2026-06-06T09:00")) is None


@pytest.fixture
def graded(by_hand: Catalogue, make_course: Callable, submit: Callable, studium: Callable, tmp_path: Path) -> Path:
    root: Path = make_course(rest='[late]\npolicy = "per-day"\npenalty_percent = 10\nlate_days = 2\n')
    build_assignment(root, "ps1", by_hand)
    right = {name: solved(exercise) for name, exercise in by_hand["counting"].exercises.items()}
    for student, when in (("ada", "2026-03-03 20:00:00 UTC"), ("bob", "2026-03-04 20:00:00 UTC")):
        submit(root, student, {"counting": right}, when)
    copy = Path(shutil.copytree(root, tmp_path / "course"))
    assert studium("grade", "ps1", "--course", str(copy), "--executor", "by-hand")[0] == 0
    return copy


def test_grading_takes_off_only_what_the_budget_does_not_cover(graded, studium):
    with Gradebook(f"sqlite:///{graded / 'gradebook.db'}") as book:
        found = {name: book.find_submission("ps1", name) for name in ("ada", "bob")}
        lost = {name: one.late_submission_penalty / one.score for name, one in found.items() if one.score}
        assert {name: one.extension for name, one in found.items()} == dict.fromkeys(found, timedelta(days=2))
    assert lost.get("ada", 0) == 0
    assert lost["bob"] == pytest.approx(0.1)
    code, out, err = studium("late-days", "--course", str(graded), "--json")
    assert (code, err) == (0, "")
    assert [(row["student"], row["late"], row["spent"], row["left"]) for row in json.loads(out)] == [
        ("ada", 2, 2, 0),
        ("bob", 3, 2, 0),
    ]
    assert "2026-03-04 21:00 CET" in studium("late-days", "--course", str(graded), "--student", "bob")[1]


def test_a_class_in_which_nobody_was_late_is_told_so(make_course: Callable, studium: Callable):
    root = make_course(rest='[late]\npolicy = "per-day"\npenalty_percent = 10\nlate_days = 1\n')
    assert studium("late-days", "--course", str(root))[1] == "1 late day for the term\nno submission was late\n"
