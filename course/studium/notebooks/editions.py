"""Editions: the notebooks that are built from one topic folder. They are compiled, never edited.

A lesson is a percent notebook (jupytext). Two kinds of cell are marked in it:

* ``# %% exercise="merge"`` stands where the learner writes ``merge``; what is in the cell is replaced.
* ``tags=["experiment"]`` marks cells that train or measure, and prose about their results: assignments leave them out.

What stands below the heading ``## Further``, down to the next heading of its level, is optional.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from enum import StrEnum

import jupytext
import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell
from pluggy import PluginManager

from studium.errors import LessonError, suggestion
from studium.exercises.model import Exercise
from studium.exercises.sources import solved, stub
from studium.notebooks.cell_ids import cell_id
from studium.topics.topic import Topic


class Edition(StrEnum):
    """The purpose of a notebook."""

    LESSON = "lesson"
    SOLUTION = "solution"
    ASSIGNMENT = "assignment"


Expand = Callable[[Topic, Exercise, bool], list[NotebookNode]]
"""Make the cells of an exercise in one edition, given the topic, the exercise, and whether it is optional."""

FURTHER = "Further"
REPORT = "In three to five sentences: what did you try, what did you measure, and why did you stop there?"
_SECTION = re.compile(r"^##? +(.+?) *$", re.MULTILINE)
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def compile_lesson(topic: Topic, manager: PluginManager) -> NotebookNode:
    """Build the self-paced lesson, with a stub and a check for each exercise."""

    def expand(topic: Topic, exercise: Exercise, optional: bool) -> list[NotebookNode]:
        prompt, answer = prompt_cell(topic, exercise, optional=optional), answer_cell(topic, exercise, stub(exercise))
        return [prompt, answer, check_cell(topic, exercise), *report_cells(topic, exercise)]

    return compile_notebook(topic, Edition.LESSON, expand, manager)


def compile_solution(topic: Topic, manager: PluginManager) -> NotebookNode:
    """Build the lesson with every exercise solved."""

    def expand(topic: Topic, exercise: Exercise, optional: bool) -> list[NotebookNode]:
        prompt, answer = prompt_cell(topic, exercise, optional=optional), answer_cell(topic, exercise, solved(exercise))
        return [prompt, answer, check_cell(topic, exercise), *report_cells(topic, exercise)]

    return compile_notebook(topic, Edition.SOLUTION, expand, manager)


def compile_notebook(
    topic: Topic,
    edition: Edition,
    expand: Expand,
    manager: PluginManager,
    keep: Callable[[NotebookNode], bool] = lambda cell: True,
) -> NotebookNode:
    """Build one edition: ``expand`` makes the cells of an exercise, ``keep`` selects among the lesson's cells."""
    notebook = read_lesson(topic)
    notebook.cells = list(_expanded(topic, filter(keep, notebook.cells), expand))
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
            "studium": {"topic": topic.slug, "edition": str(edition)},
        }
    )
    manager.hook.studium_edit_notebook(topic=topic, notebook=notebook, edition=edition)
    nbformat.validate(notebook)
    return notebook


def read_lesson(topic: Topic) -> NotebookNode:
    """Read a topic's ``lesson.py``, with derived cell ids and the role of each cell in its metadata.

    Raise LessonError if it places an exercise that does not exist, places one twice, or leaves one out.
    """
    notebook = jupytext.reads(topic.lesson.read_text("utf-8"), fmt="py:percent")
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    section, part, seen = "", "", Counter[str]()
    for cell in notebook.cells:
        section = _heading(cell) or section
        seen[section] += 1
        cell.id = cell_id(topic.slug, "in", section, str(seen[section]) if seen[section] > 1 else "")
        cell.metadata = nbformat.from_dict(_metadata(cell))
        part = _part(cell) or part
        if part == FURTHER:
            cell.metadata.studium["optional"] = True
    _require_each_exercise_once(topic, [exercise_of(cell) for cell in notebook.cells if exercise_of(cell)])
    return notebook


def role(cell: NotebookNode) -> str:
    """Return a cell's role: prose, code, experiment, exercise, prompt, check, report, test, setup; "" for one's own."""
    return str(cell.metadata.get("studium", {}).get("role", ""))


def exercise_of(cell: NotebookNode) -> str:
    """Return the id of the exercise that a cell belongs to, or ""."""
    return str(cell.metadata.get("studium", {}).get("exercise", ""))


def is_optional(cell: NotebookNode) -> bool:
    """Return whether a cell comes below the heading "Further"."""
    return bool(cell.metadata.get("studium", {}).get("optional"))


def prompt_cell(topic: Topic, exercise: Exercise, *, optional: bool = False) -> NotebookNode:
    """Make the cell that announces an exercise: its name, facts and statement."""
    facts = exercise.facts(optional=optional)
    parts = (f"### Exercise: `{exercise.id}`", f"*{facts}*", exercise.statement)
    return new_markdown_cell("\n\n".join(filter(None, parts)), **_identity(topic, exercise, "prompt"))


def answer_cell(topic: Topic, exercise: Exercise, source: str) -> NotebookNode:
    """Make the cell for the learner's answer; its id consists only of topic and exercise."""
    return new_code_cell(source.rstrip(), **_identity(topic, exercise, "exercise", ""))


def check_cell(topic: Topic, exercise: Exercise) -> NotebookNode:
    """Make the cell that checks an answer at once."""
    text = (
        f"lesson.check({exercise.id})\n# Stuck? Run lesson.hint({exercise.id}). "
        f"After an attempt of your own, lesson.reveal({exercise.id}) shows a solution."
    )
    return new_code_cell(text, **_identity(topic, exercise, "check"))


def report_cells(topic: Topic, exercise: Exercise, place: str = "*Write your report here.*") -> list[NotebookNode]:
    """Make the cell in which the learner writes the report of an open exercise, with ``place`` to begin; none else."""
    if not exercise.report:
        return []
    text = f"**Your report on `{exercise.id}`.** {REPORT}\n\n{place}"
    return [new_markdown_cell(text, **_identity(topic, exercise, "report"))]


def _identity(topic: Topic, exercise: Exercise, role: str, suffix: str | None = None) -> dict[str, object]:
    return {
        "id": cell_id(topic.slug, exercise.id, role if suffix is None else suffix),
        "metadata": {"studium": {"role": role, "exercise": exercise.id}},
    }


def _expanded(topic: Topic, cells: Iterator[NotebookNode], expand: Expand) -> Iterator[NotebookNode]:
    for cell in cells:
        if name := exercise_of(cell):
            optional = is_optional(cell)
            for made in expand(topic, topic.exercise(name), optional):
                if optional:
                    made.metadata.studium["optional"] = True
                yield made
        else:
            yield cell


def _metadata(cell: NotebookNode) -> dict[str, object]:
    tags = cell.metadata.get("tags", [])
    if name := cell.metadata.get("exercise"):
        return {"studium": {"role": "exercise", "exercise": name}}
    kind = "experiment" if "experiment" in tags else {"markdown": "prose"}.get(cell.cell_type, "code")
    return {"studium": {"role": kind}} | ({"tags": tags} if tags else {})


def _heading(cell: NotebookNode) -> str:
    match = re.search(r"^#{1,6} +(.+)$", cell.source, re.MULTILINE) if cell.cell_type == "markdown" else None
    return match[1] if match else ""


def _part(cell: NotebookNode) -> str:
    """Return the last first- or second-level heading in a cell, or "" if it has none."""
    found = _SECTION.findall(_FENCE.sub("", cell.source)) if cell.cell_type == "markdown" else []
    return str(found[-1]) if found else ""


def _require_each_exercise_once(topic: Topic, placed: list[str]) -> None:
    where = f"lesson.py of {topic.slug}"
    for name, times in Counter(placed).items():
        if name not in topic.exercises:
            raise LessonError(f"{where} places the unknown exercise {name!r}; {suggestion(name, topic.exercises)}")
        if times > 1:
            raise LessonError(f"{where} must place {name!r} once, but does so {times} times; remove one")
    if missing := next((name for name in topic.exercises if name not in placed), None):
        raise LessonError(f'{where} must place the exercise {missing!r}; add a cell `# %% exercise="{missing}"`')
