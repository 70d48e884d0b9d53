"""Points that rest on unverified results: they are told apart, and wait for a person where the course says so."""

import csv
import json
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

pytest.importorskip("nbgrader")

from nbgrader.api import Gradebook
from studium.catalogue.catalogue import Catalogue
from studium.exercises.sources import solved
from studium_graders.assignments.building import build_assignment
from studium_graders.commands.graded_table import show_modes
from studium_graders.course.course_file import read_course
from studium_graders.engine.judge.verdicts import REVIEW
from studium_graders.engine.material.results import TestResult as Result
from studium_graders.results.unverified import reliance

FILES = "it is about files"


@pytest.fixture
def course(by_hand: Catalogue, make_course: Callable, submit: Callable) -> Path:
    made: Path = make_course()
    build_assignment(made, "ps1", by_hand)
    submit(made, "ada", {"counting": {name: solved(one) for name, one in by_hand["counting"].exercises.items()}})
    return made


@pytest.fixture
def grade(course: Path, studium: Callable, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """grade(…) → what is printed, where the first test is unverified, the second for review, and the rest passes."""
    hand = sys.modules["hand_grader"]
    made = hand.result_by_hand

    def result(*asked: object) -> object:
        found = made(*asked)
        (book,) = found.notebooks
        book.tests = [_with(test, outcome="passed", points=test.max_points, message="") for test in book.tests]
        first, second, *rest = book.tests
        first = _with(first, mode="unverified", reason=FILES)
        second = _with(second, outcome="review", points=0.0, message=REVIEW)
        book.tests = [first, second, *rest]
        return found

    monkeypatch.setattr(hand, "result_by_hand", result)

    def run(*more: str) -> str:
        code, out, err = studium("grade", "ps1", "--course", str(course), "--executor", "by-hand", *more)
        assert code == 0, err
        return str(out)

    return run


_with = msgspec.structs.replace


def test_grade_export_and_report_tell_what_rests_on_unverified_results_and_what_waits(
    grade: Callable, course: Path, studium: Callable
) -> None:
    out = grade()
    (line,) = [line for line in out.splitlines() if "rest on unverified results" in line]
    assert line.startswith("1 of 5 points rest on unverified results: total/")
    assert "waiting for you to mark: 1 answer of ada" in out
    assert studium("export", "--course", str(course))[0] == 0
    (marks,) = csv.DictReader((course / "grades.csv").read_text("utf-8").splitlines())
    assert (marks["unverified_points"], marks["review_points"]) == ("1.0", "2.0")
    code, out, _ = studium("report", "ps1", "--course", str(course), "--json")
    assert code == 0
    assert [row["mode"] for row in json.loads(out)["tests"]].count("unverified") == 1
    assert studium("report", "ps1", "--course", str(course), "--out", str(course / "report.html"))[0] == 0
    assert "1 of 5 points rest on unverified results: <span>" in (course / "report.html").read_text("utf-8")


def test_json_tells_what_rests_on_unverified_results_and_what_waits(grade: Callable) -> None:
    (row,) = json.loads(grade("--json"))["submissions"]
    first, second, *_ = row["tests"]
    assert (first["mode"], first["reason"], second["mode"], second["outcome"]) == (
        "unverified",
        FILES,
        "verified",
        "review",
    )
    points = first["max_points"], first["max_points"], second["max_points"]
    assert (row["unverified_points"], row["unverified_max"], row["review_points"]) == points


def test_they_wait_for_a_person_where_the_course_says_so(grade: Callable, course: Path) -> None:
    (before,) = json.loads(grade("--json"))["submissions"]
    with (course / "course.toml").open("a") as file:
        file.write('\n[grading]\nunverified = "review"\n')
    (row,) = json.loads(grade("--json"))["submissions"]
    first, *_ = row["tests"]
    assert (first["outcome"], first["points"], first["message"]) == ("review", 0, REVIEW)
    assert (row["score"], row["unverified_points"], row["review_points"]) == (before["score"] - 1, 0, 3)
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as book:
        marks = {mark.name: mark for one in book.find_submission("ps1", "ada").notebooks for mark in one.grades}
        assert (marks[first["grade_id"]].auto_score, marks[first["grade_id"]].needs_manual_grade) == (None, True)


def test_course_toml_counts_them_unless_it_says_otherwise(make_course: Callable) -> None:
    assert read_course(make_course()).grading.unverified == "count"


def test_a_failed_unverified_test_has_nothing_to_wait_for() -> None:
    failed = Result("total", "saves", 0.0, 2.0, "failed", mode="unverified", reason=FILES)
    assert reliance([failed]) == (0.0, 2.0, 0.0)


def test_an_author_is_told_the_mode_of_each_test_and_why(capsys: pytest.CaptureFixture[str]) -> None:
    show_modes(
        [
            Result("total", "adds", 1.0, 1.0, "passed"),
            Result("total", "saves", 1.0, 1.0, "passed", mode="unverified", reason=FILES),
        ]
    )
    assert capsys.readouterr().out.splitlines() == [
        "1 test verified, apart from the answers: total/adds",
        "1 test unverified, together with the answers:",
        FILES,
        "  total/saves",
    ]
