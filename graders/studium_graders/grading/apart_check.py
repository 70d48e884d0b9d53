"""Which tests of a topic cannot run apart from the answer: each runs once, with the solution, as it will be graded."""

from collections.abc import Iterator

from nbformat import NotebookNode
from studium.catalogue.catalogue import load_catalogue
from studium.exercises.sources import solved
from studium.notebooks.editions import exercise_of, role
from studium.topics.topic import Topic

from studium_graders.assignments.plan import NotebookPlan
from studium_graders.assignments.source_notebook import source_notebook
from studium_graders.course.limits import Limits
from studium_graders.engine.judge.judging import CHANGES
from studium_graders.engine.judge_side.student import WATCHES
from studium_graders.engine.material.assignment import Cell, Material, NotebookMaterial
from studium_graders.engine.processes.zygote import Zygote
from studium_graders.engine.sandbox import probe
from studium_graders.engine.supervision.engine import Engine
from studium_graders.grading import ancestor

_LIMITS = Limits(call_seconds=600, submission_seconds=3600, cpu_seconds=3600)  # it measures no time
_ADVICE = {
    CHANGES: "clone it first",
    WATCHES: "limit the answer's memory with studium.at_most_mb instead",
}
_USUALLY = "let it only call the answer and compare what comes back"


def problems(topic: Topic) -> Iterator[str]:
    """Report which tests of a topic must run in one process with the answer, why, and what to do; usually none."""
    for test, why in together(topic).items():
        advice = next((advice for part, advice in _ADVICE.items() if part in why), _USUALLY)
        yield f"{test} must run apart from the answer, but does not: {why}; {advice}"


def together(topic: Topic, ancestor: Zygote = ancestor.ancestor) -> dict[str, str]:
    """Return the tests of a topic that cannot run apart, as ``exercise/test``, and why."""
    if not topic.exercises:
        return {}
    with Engine(_material(topic), probe().level, trust=True, ancestor=ancestor) as engine:
        return {f"{test.exercise}/{test.name}": why for test, why in engine.together()}


def _material(topic: Topic) -> Material:
    plan = NotebookPlan(topic, topic.exercises, whole=False, experiments=False)
    notebook = source_notebook(plan, load_catalogue().manager)
    cells = tuple(_cell(topic, cell) for cell in notebook.cells)
    return Material(topic.slug, (NotebookMaterial(topic.slug, cells, b"{}"),), limits=_LIMITS)


def _cell(topic: Topic, cell: NotebookNode) -> Cell:
    marks, own = cell.metadata.get("nbgrader", {}), cell.metadata.get("studium", {})
    if cell.cell_type != "code":
        return Cell(cell.id, "text", cell.source)
    if marks.get("solution"):
        return Cell(cell.id, "answer", cell.source, cell.id, reference=solved(topic.exercises[exercise_of(cell)]))
    if role(cell) != "test":
        return Cell(cell.id, "given", cell.source)
    return Cell(
        cell.id,
        "test",
        cell.source,
        cell.id,
        marks["points"],
        graded=True,
        locked=True,
        topic=topic.slug,
        exercise=own["exercise"],
        test=own["test"],
    )
