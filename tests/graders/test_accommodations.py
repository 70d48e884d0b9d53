"""`studium accommodations`: more time in the whole term, wherever an extension would count."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from studium.catalogue.catalogue import Catalogue
from studium.errors import CourseError

pytest.importorskip("nbgrader")

from nbgrader.api import Gradebook
from studium.exercises.sources import solved
from studium_graders.assignments.building import build_assignment
from studium_graders.course.amounts import Amount
from studium_graders.course.course_file import read_course
from studium_graders.feedback.marks import read_marks
from studium_graders.grading.late.budget import spend

LATE = '[late]\npolicy = "per-day"\npenalty_percent = 10\n'
OPENS = '[[assignments]]\nname = "ps1"\nopens = 2026-02-21T23:59:00\ndue = 2026-03-01T23:59:00\ntopics = ["counting"]\n'


@pytest.fixture(scope="module")
def late_class(by_hand: Catalogue, make_course: Callable, submit: Callable) -> Path:
    course: Path = make_course(OPENS, rest=LATE)
    build_assignment(course, "ps1", by_hand)
    right = {name: solved(exercise) for name, exercise in by_hand["counting"].exercises.items()}
    for student in ("ada", "bob"):
        submit(course, student, {"counting": right}, "2026-03-03 22:00:00 UTC")
    return course


@pytest.fixture
def course(late_class: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(late_class, tmp_path / "course"))


@pytest.fixture
def accommodations(course: Path, studium: Callable) -> Callable[..., tuple[int, str, str]]:
    return lambda *words: studium("accommodations", *words, "--course", str(course))


@pytest.fixture
def graded(course: Path, studium: Callable) -> Callable[[], tuple[dict[str, float], str]]:
    """graded() → the late penalties by student, and what was said."""

    def grade() -> tuple[dict[str, float], str]:
        code, out, err = studium("grade", "ps1", "--course", str(course), "--executor", "by-hand", "--json")
        assert code == 0, err
        return {row["student"]: row["late_penalty"] for row in json.loads(out)["submissions"]}, err

    return grade


def test_a_quarter_more_of_eight_days_is_two_days_for_this_student_alone(course, accommodations, graded):
    before, _ = graded()
    assert before["ada"] == before["bob"] > 0
    assert accommodations("set", "ada", "+25 %")[0] == 0
    assert graded()[0] == {"ada": 0.0, "bob": before["bob"]}
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as book:
        assert book.find_submission("ps1", "ada").extension == timedelta(days=2)
        assert book.find_submission("ps1", "bob").extension is None


def test_feedback_and_mark_know_the_students_own_due_date_and_no_reason_for_it(course, accommodations, graded, studium):
    accommodations("set", "ada", "+2 days")
    graded()
    dues = {one.student: one.due for one in read_marks(f"sqlite:///{course / 'gradebook.db'}", "ps1")}
    assert dues == {"ada": datetime(2026, 3, 3, 22, 59), "bob": datetime(2026, 3, 1, 22, 59)}
    assert studium("feedback", "ps1", "--course", str(course))[0] == 0
    page = (course / "feedback" / "ada" / "ps1" / "counting.html").read_text("utf-8")
    assert "3 March 2026, 23:59" in page
    assert "+2" not in page
    assert "ccommodat" not in page


@pytest.mark.parametrize(("until", "due"), [("2026-03-02T12:00", 3), ("2026-03-20T12:00", 20)])
def test_of_an_extension_and_an_accommodation_the_more_generous_one_counts(course, accommodations, studium, until, due):
    accommodations("set", "ada", "+25 %")
    assert studium("extend", "ada", "ps1", "--until", until, "--course", str(course))[0] == 0
    (spent,) = spend(read_course(course), "ada", {})
    assert spent.due.day == due


def test_the_course_server_moves_the_students_own_dates_as_soon_as_the_file_changes(course, accommodations):
    from studium_classroom.courses import CourseFolder

    folder = CourseFolder(course)
    (ps1,) = folder.course.assignments
    assert not folder.deadline(ps1, "ada").extended
    accommodations("set", "ada", "+25 %")
    assert folder.deadline(ps1, "ada").due == datetime(2026, 3, 3, 22, 59, tzinfo=UTC)
    assert folder.deadline(ps1, "bob").due == datetime(2026, 3, 1, 22, 59, tzinfo=UTC)


def test_an_extension_over_a_night_of_25_hours_ends_when_the_file_says(course):
    from studium_classroom.courses import CourseFolder

    text = (course / "course.toml").read_text("utf-8").replace("2026-03-01", "2026-10-24")
    end = '[[extensions]]\nstudent = "ada"\nassignment = "ps1"\nuntil = 2026-10-26T23:59:00\n'
    (course / "course.toml").write_text(f"{text}\n{end}", "utf-8")
    (spent,) = spend(read_course(course), "ada", {})
    folder = CourseFolder(course)
    wanted = datetime(2026, 10, 26, 22, 59, tzinfo=UTC)
    assert (spent.due, folder.deadline(folder.course.assignments[0], "ada").due) == (wanted, wanted)
    assert read_course(course).extensions_of("ps1") == {"ada": timedelta(hours=49)}


def test_a_percentage_without_an_opening_date_is_told_once_and_days_still_count(course, accommodations, graded):
    text = (course / "course.toml").read_text("utf-8").replace("opens = 2026-02-21T23:59:00\n", "")
    (course / "course.toml").write_text(text, "utf-8")
    sentence = "ps1 has a due date but no opens in course.toml, so it stays due when it is for ada; add opens"
    for told in (accommodations("set", "ada", "+25 %")[2], graded()[1]):
        assert " ".join(told.split()).count(sentence) == 1
    assert read_course(course).extensions_of("ps1") == {}
    assert accommodations("set", "ada", "+2 days")[2] == ""
    assert read_course(course).extensions_of("ps1") == {"ada": timedelta(days=2)}


@pytest.mark.parametrize("separator", [",", ";"])
def test_a_file_adds_and_changes_and_leaves_the_others(course, accommodations, tmp_path, separator, modes):
    accommodations("set", "cleo", "+1 day")
    accommodations("set", "ada", "+10 %")
    file = tmp_path / "list.csv"
    rows = ["student,extra,note", "ada,+25 %,x", 'bob,"+12,5 %",', ""]
    text = "\n".join(rows) if separator == "," else "\n".join(rows).replace('"+12,5 %"', "+12.5 %").replace(",", ";")
    file.write_text(f"\ufeff{text}", "utf-8")
    code, out, _ = accommodations("--from-csv", str(file), "--json")
    listed = [{"student": s, "extra": e} for s, e in (("ada", "+25 %"), ("bob", "+12.5 %"), ("cleo", "+1 day"))]
    assert (code, json.loads(out)) == (0, listed)
    assert json.loads(accommodations("list", "--json")[1]) == listed
    assert json.loads(accommodations("remove", "bob", "--json")[1]) == [listed[0], listed[2]]
    assert modes(course / "accommodations.csv") == {("file", "0o600")}


UNUSABLE = {
    "name,extra\nada,+25 %\n": "line 2",
    "student,extra\nada,+25 %\nada,+2 days\n": "got 'ada' again",
    "student,extra\nada,+25 %\nbob,lots\n": "line 3",
    "student,extra\nada,12,5 %\n": "line 2",
    "student,extra\nada,\n": "line 2",
    'student,extra\n"ada,+25 %\n': "a CSV file",
}


def test_a_file_that_cannot_be_used_changes_nothing(course, accommodations, tmp_path):
    accommodations("set", "ada", "+1 day")
    for text, sentence in UNUSABLE.items():
        (tmp_path / "list.csv").write_text(text, "utf-8")
        code, _, err = accommodations("--from-csv", str(tmp_path / "list.csv"))
        assert code == 2
        assert sentence in " ".join(err.split())
    assert read_course(course).accommodations == {"ada": Amount(1, "days")}
    for text, sentence in UNUSABLE.items():
        (course / "accommodations.csv").write_text(text, "utf-8")
        with pytest.raises(CourseError, match=sentence):
            read_course(course)


def test_what_is_unknown_or_in_the_wrong_file_is_told(course, accommodations, graded):
    code, _, err = accommodations("remove", "ada")
    assert (code, "unknown student with an accommodation 'ada'" in err) == (2, True)
    assert "needs a number and a unit" in accommodations("set", "ada", "more")[2]
    graded()
    assert "did you mean 'ada'?" in accommodations("set", "adda", "+1 day")[2]
    with (course / "course.toml").open("a") as file:
        file.write('\n[accommodations]\nada = "+25 %"\n')
    with pytest.raises(CourseError, match=r"belong in accommodations\.csv"):
        read_course(course)
