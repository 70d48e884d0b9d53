"""A test that only a person can decide: its mark, the summary, the formgrader's queue and the student's page."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("nbgrader")

import nbformat
from nbgrader.api import Gradebook
from studium_graders.engine.judge.verdicts import REVIEW
from studium_graders.feedback import write_feedback

SQUARES = """
def squares(n):
    if n < 1:
        raise ValueError("n must be positive")
    return [i**2 for i in range(1, n + 1)]
"""


def test_it_has_no_mark_until_a_person_gives_one(ps1_course: Path, submit: Callable, studium: Callable) -> None:
    course = ps1_course
    submit(course, "ada", {"problem1": {"squares": SQUARES}})
    (course / "course.toml").write_text('id = "course101"\n\n[grading]\nunverified = "review"\n')

    def grade(*more: str) -> str:
        code, out, err = studium("grade", "ps1", "--course", str(course), "--student", "ada", *more)
        assert code == 0, err
        return str(out)

    (row,) = json.loads(grade("--json"))["submissions"]
    found = {test["grade_id"] for test in row["tests"] if test["message"].endswith(REVIEW)}
    assert found
    assert {(test["outcome"], test["points"]) for test in row["tests"] if test["grade_id"] in found} == {("review", 0)}
    assert "waiting for you to mark: " in grade()
    book = nbformat.read(course / "autograded" / "ada" / "ps1" / "problem1.ipynb", 4)
    shown = [out["ename"] for cell in book.cells for out in cell.get("outputs", ()) if out["output_type"] == "error"]
    assert shown.count("WaitsForMarking") == len(found)
    assert "for you to mark them in ps1 and count 0 until then: ada" in studium("export", "--course", str(course))[2]
    write_feedback(course, "ps1", ["ada"])
    assert REVIEW in (course / "feedback" / "ada" / "ps1" / "problem1.html").read_text("utf-8")
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as gradebook:
        marks = {mark.name: mark for mark in gradebook.find_submission_notebook("problem1", "ps1", "ada").grades}
        assert {(marks[name].auto_score, marks[name].needs_manual_grade) for name in found} == {(None, True)}
        for mark in (mark for book in gradebook.find_submission("ps1", "ada").notebooks for mark in book.grades):
            mark.manual_score, mark.needs_manual_grade = mark.max_score, False
        gradebook.db.commit()
    assert "waiting for you to mark" not in grade()
    assert "for you to mark" not in studium("export", "--course", str(course))[2]
