"""Open exercises: tests measure the goal, and the report is a cell that nbgrader leaves to a person."""

from __future__ import annotations

import json
from pathlib import Path

import nbformat
import pytest
from nbgrader.api import Gradebook
from studium import exercise
from studium.catalogue.catalogue import load_catalogue
from studium.errors import ExerciseError
from studium.notebooks.editions import compile_lesson, role
from studium_graders.assignments.plan import plan_notebooks
from studium_graders.assignments.source_notebook import source_notebook
from studium_graders.course.course_file import Assignment
from studium_graders.course.public_edition import public_edition

from .conftest import installed

RULERS = '[[assignments]]\nname = "ps1"\ndue = 2026-03-01T23:59:00\ntopics = ["rulers"]\n'
ANSWER = "def marks(length):\n    return [0, 1, 4, 6, 8]\n"
REPORT = "I tried 0, 1, 4, 6, 9 first, which measures 9 lengths, and moved the last mark."


@pytest.fixture(scope="module")
def rulers(tmp_path_factory):
    """The catalogue with a topic that has one open exercise."""
    with installed(tmp_path_factory.mktemp("site"), "open_topic", "rulers"):
        yield load_catalogue()


def test_the_lesson_ends_the_exercise_with_a_place_for_the_report(rulers):
    notebook = compile_lesson(rulers["rulers"], rulers.manager)
    assert [role(cell) for cell in notebook.cells] == ["prose", "setup", "prompt", "exercise", "check", "report"]
    assert (
        "*core · open · the lesson uses it · 2 points and 3 for a report · about 5 minutes*" in notebook.cells[2].source
    )
    assert notebook.cells[-1].source.startswith("**Your report on `marks`.** In three to five sentences")
    assert notebook.cells[-1].source.endswith("*Write your report here.*")


def test_the_assignment_has_a_cell_for_it_that_nbgrader_marks_by_hand_and_its_points_count(rulers):
    (plan,) = plan_notebooks(Assignment("ps1", topics=("rulers",)), rulers)
    report = source_notebook(plan, rulers.manager).cells[-1]
    marks = report.metadata.nbgrader
    assert (report.cell_type, report.id, marks.grade_id) == ("markdown", "rulers-marks-report", "rulers-marks-report")
    assert (marks.grade, marks.solution, marks.locked, marks.points) == (True, True, False, 3)
    assert plan.points == 5


def test_what_students_get_has_the_report_too():
    text = (Path(__file__).parent / "open_topic" / "exercises.py").read_text("utf-8")
    (public,) = public_edition({"exercises.py": text}, "open_topic").values()
    assert "@exercise(points=2, report=3, minutes=5, kind='open'" in public


def test_only_an_open_exercise_has_a_report():
    for kind, report in (("open", 0), ("write", 1), ("open", -1)):
        with pytest.raises(ExerciseError, match='the kind "open" needs a report, and no other kind has one'):
            exercise(points=1, minutes=1, kind=kind, report=report)(lambda: None)


def test_new_points_of_an_exercise_leave_those_of_its_report(rulers):
    (plan,) = plan_notebooks(Assignment("ps1", topics=("rulers",), points={"rulers.marks": 4}), rulers)
    assert plan.points == 7
    assert source_notebook(plan, rulers.manager).cells[-1].metadata.nbgrader.points == 3


def handed_in(course, submit, student, report):
    folder = submit(course, student, {"rulers": {"marks": ANSWER}})
    book = nbformat.read(folder / "rulers.ipynb", 4)
    cell = book.cells[-1]
    assert cell.source.endswith("YOUR ANSWER HERE")
    if report:
        cell.source = cell.source.replace("YOUR ANSWER HERE", report)
    nbformat.write(book, folder / "rulers.ipynb")


def test_tests_are_marked_at_once_and_a_report_that_is_written_waits_for_a_person(rulers, make_course, submit, studium):
    course = make_course(RULERS)
    code, said, err = studium("assign", "ps1", "--course", str(course), "--json", "--no-check")
    assert code == 0, err
    handed_in(course, submit, "ada", REPORT)
    handed_in(course, submit, "bob", "")
    code, said, err = studium("grade", "ps1", "--course", str(course), "--json")
    assert code == 0, err
    assert [(row["score"], row["max_score"]) for row in json.loads(said)["submissions"]] == [(2.0, 5.0)] * 2
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as gradebook:
        for student, waits in (("ada", True), ("bob", False)):
            marks = {mark.name: mark for mark in gradebook.find_submission_notebook("rulers", "ps1", student).grades}
            found = marks["rulers-marks-report"]
            assert (found.needs_manual_grade, found.max_score) == (waits, 3)
