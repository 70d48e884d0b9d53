"""nbgrader's own documentation course: its two sample submissions are published with 1.5 and 3.0 points."""

from __future__ import annotations

from pathlib import Path

import nbformat
import nbgrader
import pytest

from .notebooks import STUB, answer, checked, given, grade, material, submission

GUIDE = Path(nbgrader.__file__).parent / "docs" / "source" / "user_guide"


def cells_of(path):
    return nbformat.read(path, 4).cells


def ps1():
    made = []
    for cell in cells_of(GUIDE / "source" / "ps1" / "problem1.ipynb"):
        marks = cell.metadata.get("nbgrader")
        if cell.cell_type != "code":
            continue
        if marks is None:
            made.append(given(cell.source))
        elif marks["solution"]:
            more = {"graded": marks["grade"], "points": marks.get("points", 0)}
            made.append(answer(cell.source, id=marks["grade_id"], grade_id=marks["grade_id"], **more))
        else:
            made.append(checked(cell.source, points=marks["points"], id=marks["grade_id"], grade_id=marks["grade_id"]))
    return material(*made, name="problem1")


@pytest.mark.parametrize(("name", "score"), [("bitdiddle", 1.5), ("hacker", 3.0)])
def test_the_sample_submissions_of_nbgraders_guide_earn_their_published_points(student, name, score):
    notebook = ps1()
    cells = cells_of(GUIDE / "submitted" / name / "ps1" / "problem1.ipynb")
    written = {c.metadata.nbgrader.grade_id: c.source for c in cells if "nbgrader" in c.metadata}
    answers = [written[cell.id] for cell in notebook.cells if cell.kind == "answer"]
    graded = grade(
        student, notebook, submission(notebook, *(None if text == STUB.strip() else text for text in answers))
    )
    assert sum(graded.points) == score
    assert graded.results["sum_of_squares_application"].outcome == ("manual" if name == "hacker" else "not attempted")
