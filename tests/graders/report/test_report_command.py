"""`studium report` and `studium topic mine` on a course folder: what they read, leave out and refuse."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("nbgrader")

import msgspec
import nbformat
from studium.catalogue.catalogue import Catalogue
from studium.exercises.sources import solved
from studium_graders.assignments.building import build_assignment
from studium_graders.grading.class_run import grade_class
from studium_graders.grading.options import GradeOptions
from studium_graders.report.reading import read_class

WRONG = "def total(values):\n    '''By {name}.'''\n    extra = {number}\n    return sum(values) + extra\n"


class Quiet:
    """A watcher that agrees to everything."""

    def begin(self, total: int, sandbox: str) -> None: ...

    def done(self, student: str, *, reused: bool) -> None: ...

    def note(self, sentence: str) -> None: ...

    def agree(self, changes) -> bool:
        return True


@pytest.fixture(scope="module")
def graded(by_hand: Catalogue, make_course: Callable, submit: Callable) -> Path:
    course: Path = make_course()
    build_assignment(course, "ps1", by_hand)
    right = {name: solved(exercise) for name, exercise in by_hand["counting"].exercises.items()}
    for number in range(12):
        own = {**right, "total": WRONG.format(name=f"pupil{number}", number=number)} if number < 8 else right
        submit(course, f"pupil{number}", {"counting": own}, "2026-03-01 20:00:00 UTC")
    grade_class(course, "ps1", GradeOptions(executor="by-hand"), by_hand, Quiet())
    return course


@pytest.fixture
def course(graded: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(graded, tmp_path / "course"))


def test_answers_and_tests_are_read_by_exercise(graded, by_hand):
    data = read_class(graded, "ps1", by_hand)
    assert [(one.name, [item.hidden for item in one.items]) for one in data.exercises] == [
        ("counting.total", [False, True]),
        ("counting.distance", [True, True]),
    ]
    assert data.students == sorted(f"pupil{number}" for number in range(12))
    assert data.answers["pupil3"][0].source == WRONG.format(name="pupil3", number=3)
    assert any("fsum" in source for source in data.exercises[0].right)
    assert data.exercises[0].right[0].startswith("def total")
    assert all(f"def {one.id}" in "\n".join(one.given) for one in data.exercises)


def test_the_page_is_written_and_the_numbers_are_there_for_programs(course, studium, tmp_path, modes):
    code, out, err = studium("report", "ps1", "--course", str(course), "--out", str(tmp_path / "report.html"))
    assert (code, err) == (0, "")
    assert modes(tmp_path / "report.html") == {("file", "0o600")}
    assert out.endswith("report.html is ready: 4 tests, 12 students, 0 pairs\n")
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "the hidden sum of 1 and -4" not in page
    assert "with 2 exercises and 12 students no pair can reach" in page.lower()
    made = json.loads(studium("report", "ps1", "--course", str(course), "--json")[1])
    assert {row["statistics"]["verdict"] for row in made["tests"]} == {"few"}
    assert [sum(row["statistics"]["count"] for row in made["exercises"])] == [24]


def test_no_id_is_shown_where_the_report_is_anonymous(course, studium, tmp_path):
    out = str(tmp_path / "report.html")
    assert studium("report", "ps1", "--course", str(course), "--anonymous", "--out", out)[0] == 0
    assert "pupil" not in studium("report", "ps1", "--course", str(course), "--anonymous", "--json")[1]
    assert "pupil" not in Path(out).read_text("utf-8")


def test_a_copied_file_is_listed_by_grade_and_report_with_the_comment_that_names_its_owner(
    course, by_hand, submit, studium, tmp_path
):
    own = WRONG.format(name="pupil3", number=3)
    cells = {"total": f"{own}# pupil3\n", "distance": solved(by_hand["counting"].exercise("distance"))}
    submit(course, "copycat", {"counting": cells}, "2026-03-01 20:00:00 UTC")
    graded = grade_class(course, "ps1", GradeOptions(executor="by-hand"), by_hand, Quiet()).same
    assert [(group.kind, group.students) for group in graded.groups] == [
        ("identical", ("pupil10", "pupil11", "pupil8", "pupil9")),
        ("near-identical", ("copycat", "pupil3")),
    ]
    assert [(one.student, one.names) for one in graded.mentions] == [("copycat", "pupil3")] * 2
    made = json.loads(studium("report", "ps1", "--course", str(course), "--json")[1])
    assert made["same"] == json.loads(msgspec.json.encode(graded))
    out = str(tmp_path / "report.html")
    said = studium("report", "ps1", "--course", str(course), "--out", out)[1]
    assert "  copycat names pupil3 in a comment in counting/" in said
    page = Path(out).read_text("utf-8")
    assert '<th scope="row">copycat, pupil3</th><td>near-identical</td>' in page
    assert "pupil10, pupil11, pupil8, pupil9" in page
    hidden = studium("report", "ps1", "--course", str(course), "--anonymous", "--json")[1]
    assert [len(group["students"]) for group in json.loads(hidden)["same"]["groups"]] == [4, 2]
    assert "pupil" not in hidden
    assert "copycat" not in hidden


def test_what_has_changed_since_it_was_graded_is_left_out_and_said(course, studium, submit):
    path = course / "submitted" / "pupil0" / "ps1" / "counting.ipynb"
    notebook = nbformat.read(path, as_version=4)
    nbformat.write(notebook, path)
    os.utime(path)
    submit(course, "late", {}, "")
    made = json.loads(studium("report", "ps1", "--course", str(course), "--json")[1])
    assert made["students"] == 11
    assert made["notes"] == [
        "1 of 13 submissions are not in this report: not graded yet",
        "1 of 13 submissions are not in this report: changed since the last grading",
    ]


def test_without_results_the_command_says_what_to_run(course, studium):
    shutil.rmtree(course / ".studium" / "results")
    code, _, err = studium("report", "ps1", "--course", str(course))
    assert (code, err) == (1, "studium: ps1 has no results yet; run: studium grade ps1\n")


def test_an_earlier_term_stands_beside_the_tests(course, graded, studium):
    made = studium("report", "ps1", "--course", str(course), "--from", str(graded), "--json")[1]
    assert all(row["earlier"][0]["term"] == "course101" for row in json.loads(made)["tests"])


def test_the_author_gets_code_and_nothing_of_the_students(course, studium):
    code, out, err = studium("topic", "mine", "counting", "--from", str(course))
    assert (code, err) == (0, "")
    assert "pupil" not in out
    assert out.startswith("# counting.total: ")
    mined = json.loads(studium("topic", "mine", "counting", "--from", str(course), "--json")[1])
    assert [row["exercise"] for row in mined["exercises"]] == ["counting.total", "counting.distance"]
    assert all(found["count"] >= 3 for row in mined["exercises"] for found in row["found"])


def test_a_course_without_results_and_an_unknown_topic_are_one_sentence(course, studium, tmp_path):
    code, _, err = studium("topic", "mine", "counting", "--from", str(tmp_path))
    assert code == 1
    assert "has none; name it with --from" in err
    assert studium("topic", "mine", "countin", "--from", str(course))[0] == 2
