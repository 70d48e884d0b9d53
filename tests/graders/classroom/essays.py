"""A course with a notebook that people mark by hand, and what three students handed in."""

import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from nbgrader.api import Gradebook
from sqlalchemy.exc import SAWarning
from studium.catalogue.catalogue import Catalogue
from studium_graders.assignments.building import build_assignment

EVIL = "<img src=x onerror=\"document.title='ran'\"><script>document.title='ran'</script>"
ESSAY, PLOT, TEST = "essay/why-low-rank", "essay/draw", "counting/test_total_0"
ANSWERS = {
    "ada": f"Because **most directions** are hardly used. {EVIL}",
    "bob": "It saves memory.\n\n[click](javascript:document.title='ran') <b onclick=\"document.title='ran'\">bold</b>",
    "cleo": "I do not know.",
}
NAMES = tuple(ANSWERS)


def own_notebook() -> nbformat.NotebookNode:
    """A notebook with a text and some code for a person to mark."""

    def marks(name: str, points: int) -> dict[str, object]:
        own = {"grade_id": name, "points": points, "schema_version": 3, "task": False}
        return {"nbgrader": own | {"grade": True, "solution": True, "locked": False}}

    cells = [
        new_markdown_cell("# An essay\n\nWhy is a matrix of **low rank** enough? $W + BA$", id="head"),
        new_markdown_cell(
            "### BEGIN SOLUTION\nFew directions matter.\n### END SOLUTION", id="why", metadata=marks("why-low-rank", 5)
        ),
        new_markdown_cell("Draw the singular values.", id="ask"),
        new_code_cell("### BEGIN SOLUTION\nplot(s)\n### END SOLUTION", id="draw", metadata=marks("draw", 3)),
    ]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return new_notebook(cells=cells, metadata=kernel)


def build_essays(root: Path, catalogue: Catalogue) -> Path:
    """Build ps1 with the notebook, and record what the students answered as after grading."""
    (root / "source" / "ps1").mkdir(parents=True)
    nbformat.write(own_notebook(), root / "source" / "ps1" / "essay.ipynb")
    build_assignment(root, "ps1", catalogue)
    for name in NAMES:
        hand_in(root, name, lambda cell, name=name: _answered(cell, name))
    with warnings.catch_warnings(), Gradebook(f"sqlite:///{root / 'gradebook.db'}") as book:
        warnings.simplefilter("ignore", SAWarning)  # nbgrader's own
        for name in NAMES:
            book.add_student(name)
            book.add_submission("ps1", name)
            for grade in book.find_submission("ps1", name).notebooks:
                for mark in grade.grades:
                    mark.needs_manual_grade = mark.notebook.name == "essay"
                    mark.auto_score = None if mark.needs_manual_grade else 0.0
        book.db.commit()
    return root


def hand_in(root: Path, name: str, answered: Callable[[nbformat.NotebookNode], None]) -> None:
    """Put a student's graded notebooks where grading leaves them."""
    target = root / "autograded" / name / "ps1"
    shutil.copytree(root / "release" / "ps1", target, dirs_exist_ok=True)
    for path in target.glob("*.ipynb"):
        notebook = nbformat.read(path, as_version=4)
        for cell in notebook.cells:
            answered(cell)
        nbformat.write(notebook, path)


def _answered(cell: nbformat.NotebookNode, name: str) -> None:
    marked = cell.metadata.get("nbgrader", {}).get("grade_id")
    if marked == "why-low-rank":
        cell.source = ANSWERS[name]
    if marked == "draw":
        cell.source = f"plot(s)  # {name} {EVIL}"
        cell.outputs = [new_output("display_data", {"text/html": f"<table><tr><td>{EVIL}drawn</td></tr></table>"})]
