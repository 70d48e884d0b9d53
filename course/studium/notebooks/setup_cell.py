"""The first cell of every notebook: the exercises' imports, and ``lesson``, which gives access to checks and hints."""

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

from studium.exercises.model import Exercise
from studium.exercises.sources import imports_used, public_imports
from studium.notebooks.cell_ids import cell_id
from studium.notebooks.editions import exercise_of, role
from studium.topics.topic import Topic


def insert_setup_cell(topic: Topic, notebook: NotebookNode) -> None:
    """Insert the setup cell after the title, or first if the notebook has no title."""
    first_is_title = bool(notebook.cells) and notebook.cells[0].cell_type == "markdown"
    cell = new_code_cell(
        setup_source(topic, [exercise_of(cell) for cell in notebook.cells]),
        id=cell_id(topic.slug, "import"),
        metadata={"studium": {"role": "setup"}},
    )
    notebook.cells.insert(1 if first_is_title else 0, cell)


def fold_code(notebook: NotebookNode) -> None:
    """Hide the source of all cells that a reader neither writes nor reads: Jupyter shows three dots instead."""
    for cell in notebook.cells:
        if cell.cell_type == "code" and role(cell) in ("setup", "code", "check"):
            cell.metadata["jupyter"] = {"source_hidden": True}


def setup_source(topic: Topic, exercises: list[str]) -> str:
    """Return code that imports what the solutions of ``exercises`` need, and opens the lesson."""
    statements = {
        statement
        for name in dict.fromkeys(filter(None, exercises))
        for statement in _imports_for(topic, topic.exercise(name))
    }
    lines = sorted({*statements, "from studium import open_lesson"}, key=lambda line: (line.startswith("from"), line))
    return "\n".join([*lines, "", f'lesson = open_lesson("{topic.slug}")'])


def _imports_for(topic: Topic, exercise: Exercise) -> list[str]:
    if exercise.public:
        return public_imports(exercise)
    found = imports_used(exercise.solution, topic.exercises, f"the solution of {exercise.id}")
    if exercise.shown is None:
        return found
    return [*found, *imports_used(exercise.shown.function, topic.exercises, f"the code that {exercise.id} shows")]
