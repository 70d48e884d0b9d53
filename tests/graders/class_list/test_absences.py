"""Who handed in nothing: grade, report, feedback and export count the students of the class list who are not gone."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("nbgrader")

from nbgrader.api import Gradebook
from studium.catalogue.catalogue import Catalogue
from studium.exercises.sources import solved
from studium_graders.assignments.building import build_assignment
from studium_graders.class_list.absent import Absent

LIST = "id,section\nada,a\nbob,a\nnia,b\nzoe,b\ngus,b\n"
LINE = "handed in nothing: 2 of 4 students (nia, zoe)\n"


@pytest.fixture(scope="module")
def graded(by_hand: Catalogue, make_course: Callable, submit: Callable, tmp_path_factory, run_studium) -> Path:
    """ada and bob handed in, nia and zoe never came, gus has left."""
    course: Path = make_course()
    build_assignment(course, "ps1", by_hand)
    right = {name: solved(exercise) for name, exercise in by_hand["counting"].exercises.items()}
    for student in ("ada", "bob"):
        submit(course, student, {"counting": right}, "2026-03-01 20:00:00 UTC")
    file = tmp_path_factory.mktemp("list") / "list.csv"
    for text in (LIST, LIST.replace("gus,b\n", "")):
        file.write_text(text)
        run_studium("roster", "--course", str(course), "--from-csv", str(file), "--yes")
    run_studium("grade", "ps1", "--course", str(course), "--executor", "by-hand")
    return course


@pytest.fixture
def course(graded: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(graded, tmp_path / "course"))


@pytest.fixture(scope="module")
def run_studium() -> Callable[..., str]:
    """run_studium("grade", …) → what the command printed; it must succeed."""
    from studium.catalogue.catalogue import load_catalogue
    from studium.cli.app import build_app
    from typer.testing import CliRunner

    def run(*words: str) -> str:
        done = CliRunner().invoke(build_app(load_catalogue()), words)
        assert done.exit_code == 0, done.output
        return str(done.stdout)

    return run


def test_grade_counts_them_unless_it_was_asked_about_one_student(course, run_studium):
    words = ("grade", "ps1", "--course", str(course), "--executor", "by-hand")
    assert LINE in run_studium(*words)
    assert json.loads(run_studium(*words, "--json"))["absent"] == {"count": 2, "of": 4, "students": ["nia", "zoe"]}
    assert "handed in nothing" not in run_studium(*words, "--student", "ada")


def test_a_run_for_one_student_lists_nobody_elses_waiting_answers(course, run_studium):
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as book:
        for grade in book.find_submission("ps1", "ada").notebooks[0].grades:
            grade.needs_manual_grade = True
        book.db.commit()
    words = ("grade", "ps1", "--course", str(course), "--executor", "by-hand", "--dry-run", "--json")
    assert list(json.loads(run_studium(*words))["waiting"]) == ["ada"]
    assert json.loads(run_studium(*words, "--student", "bob"))["waiting"] == {}


def test_the_report_counts_them_and_names_nobody_where_it_is_anonymous(course, run_studium, tmp_path):
    page = tmp_path / "report.html"
    words = ("report", "ps1", "--course", str(course), "--out", str(page))
    assert LINE in run_studium(*words)
    text = page.read_text("utf-8")
    assert '<dt>Handed in nothing</dt><dd>2 <span class="quiet">of 4 students</span></dd>' in text
    assert "nia, zoe" in text
    assert "handed in nothing: 2 of 4 students\n" in run_studium(*words, "--anonymous")
    assert "nia" not in page.read_text("utf-8")
    assert json.loads(run_studium(*words, "--anonymous", "--json"))["absent"]["students"] == []


def test_feedback_counts_them(course, run_studium):
    assert LINE in run_studium("feedback", "ps1", "--course", str(course))
    assert json.loads(run_studium("feedback", "ps1", "--course", str(course), "--json"))["absent"]["count"] == 2
    assert "handed in nothing" not in run_studium("feedback", "ps1", "--course", str(course), "--student", "ada")


def test_export_counts_them_and_has_a_row_for_each(course, run_studium, tmp_path):
    out = tmp_path / "marks.csv"
    assert f"ps1: {LINE}" in run_studium("export", "--course", str(course), "--out", str(out))
    rows = [line.split(",") for line in out.read_text().splitlines()[1:]]
    assert [(row[3], row[2] == "") for row in sorted(rows, key=lambda row: row[3])] == [
        ("ada", False), ("bob", False), ("gus", True), ("nia", True), ("zoe", True),
    ]  # fmt: skip


def test_somebody_who_is_gone_but_handed_in_keeps_the_mark(course, run_studium, tmp_path):
    file = tmp_path / "list.csv"
    file.write_text("id\nada\nnia\nzoe\n")
    run_studium("roster", "--course", str(course), "--from-csv", str(file), "--yes")
    found = json.loads(run_studium("grade", "ps1", "--course", str(course), "--executor", "by-hand", "--json"))
    assert [row["student"] for row in found["submissions"]] == ["ada", "bob"]
    assert found["absent"] == {"count": 2, "of": 3, "students": ["nia", "zoe"]}


def test_a_class_list_that_is_damaged_costs_no_marks(course, run_studium):
    from studium.catalogue.catalogue import load_catalogue
    from studium.cli.app import build_app
    from typer.testing import CliRunner

    (course / ".studium/class-list.json").write_text("{")
    words = ("grade", "ps1", "--course", str(course), "--executor", "by-hand")
    done = CliRunner().invoke(build_app(load_catalogue()), words)
    assert done.exit_code == 1
    assert "2 submissions of ps1 graded" in done.stdout
    assert "the class list must be as studium roster wrote it" in done.stderr


def test_a_long_list_is_cut_after_ten_names():
    students = tuple(f"s{number:02}" for number in range(1, 13))
    assert Absent(12, 300, students).line.endswith(
        "12 of 300 students (s01, s02, s03, s04, s05, s06, s07, s08, s09, s10 and 2 more)"
    )
    assert Absent(0, 300).line == ""
