"""The notebooks in nbgrader's source/: solutions between markers, a graded cell for each test, a locked setup cell."""

from datetime import datetime
from typing import Any

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell
from pluggy import PluginManager
from studium.exercises.model import Exercise, Test
from studium.exercises.sources import marked, stub, test_cell
from studium.notebooks.cell_ids import cell_id
from studium.notebooks.editions import (
    Edition,
    answer_cell,
    compile_notebook,
    exercise_of,
    prompt_cell,
    report_cells,
    role,
)
from studium.topics.topic import Topic

from studium_graders.assignments.grade_ids import test_ids
from studium_graders.assignments.plan import NotebookPlan

_LESSON = (
    " These exercises are from the lesson *{title}*, which explains their symbols and the functions they use. You can "
    "open it with `studium lab`, or from Studium's side panel in JupyterLab."
)
_QUIET = """

import warnings

warnings.simplefilter("ignore")  # nbgrader gives no points to a test during which a warning is printed"""


def source_notebook(plan: NotebookPlan, manager: PluginManager) -> NotebookNode:
    """Build the source version of one notebook of an assignment."""

    def expand(topic: Topic, exercise: Exercise, optional: bool) -> list[NotebookNode]:
        return exercise_cells(topic, plan.exercises[exercise.id])

    def keep(cell: NotebookNode) -> bool:
        if not plan.whole:
            return exercise_of(cell) in plan.exercises
        return plan.experiments or role(cell) != "experiment"

    notebook = compile_notebook(plan.topic, Edition.ASSIGNMENT, expand, manager, keep)
    if not plan.whole:
        _put_title_and_setup_first(plan.topic, notebook)
    for cell in notebook.cells:
        if role(cell) == "setup":
            cell.source += _QUIET
            cell.metadata.nbgrader = _marks(cell.id, locked=True)
    return notebook


def introduce(notebook: NotebookNode, plan: NotebookPlan, assignment: str, due: datetime | None) -> None:
    """Insert a cell below the title with the assignment, its due date, and the lesson if it is not in this notebook."""
    when = f", due {due:%Y-%m-%d %H:%M %Z}" if due else ""
    lesson = "" if plan.whole else _LESSON.format(title=plan.topic.title)
    text = f"**Assignment {assignment}{when}.**{lesson}"
    own = {"id": cell_id(plan.topic.slug, "import", "assignment"), "metadata": {"studium": {"role": "prose"}}}
    at = 1 if notebook.cells[0].cell_type == "markdown" else 0
    notebook.cells.insert(at, new_markdown_cell(text, **own))


def exercise_cells(topic: Topic, exercise: Exercise) -> list[NotebookNode]:
    """Return the prompt, the answer with its solution, and the graded tests of an exercise."""
    answer = answer_cell(topic, exercise, marked(exercise))
    answer.metadata["nbgrader"] = _marks(answer.id, solution=True)
    if exercise.shown is not None:
        answer.metadata["studium"]["start"] = stub(exercise).rstrip()  # for StartingCells
    ids = test_ids(topic, exercise)
    tests = (_test_cell(topic, exercise, test, ids[test.name]) for test in exercise.tests)
    return [prompt_cell(topic, exercise), answer, *tests, *_report_cells(topic, exercise)]


def _report_cells(topic: Topic, exercise: Exercise) -> list[NotebookNode]:
    """Return the cell of an open exercise's report, which nbgrader leaves to a person."""
    made = report_cells(topic, exercise, "### BEGIN SOLUTION\n### END SOLUTION")
    for cell in made:
        cell.metadata["nbgrader"] = _marks(cell.id, grade=True, solution=True, points=exercise.report)
    return made


def _test_cell(topic: Topic, exercise: Exercise, test: Test, grade_id: str) -> NotebookNode:
    kind = "Hidden test" if test.hidden else "Test"
    title = f"# {kind} ({test.points:g} point{'s' if test.points != 1 else ''}): {exercise.id} {test.name}"
    code = test_cell(topic.slug, exercise, test).rstrip()
    if test.hidden:
        code = f"### BEGIN HIDDEN TESTS\n{code}\n### END HIDDEN TESTS"
    metadata = {
        "studium": {"role": "test", "exercise": exercise.id, "test": test.name},
        "nbgrader": _marks(grade_id, grade=True, locked=True, points=test.points),
    }
    return new_code_cell(f"{title}\n{code}", id=grade_id, metadata=metadata)


def _marks(grade_id: str, **values: Any) -> dict[str, Any]:
    """Return nbgrader's cell metadata, schema version 3."""
    flags = {"grade": False, "solution": False, "locked": False, "task": False}
    return {"schema_version": 3, "grade_id": grade_id, **flags, **values}


def _put_title_and_setup_first(topic: Topic, notebook: NotebookNode) -> None:
    title = new_markdown_cell(
        f"# {topic.title}", id=cell_id(topic.slug, "in", "title"), metadata={"studium": {"role": "prose"}}
    )
    setup = [cell for cell in notebook.cells if role(cell) == "setup"]
    notebook.cells = [title, *setup, *(cell for cell in notebook.cells if role(cell) != "setup")]
