"""Results of single cells."""

from studium_graders.engine.material.assignment import Cell, NotebookMaterial
from studium_graders.engine.material.results import Outcome, TestResult

NOT_YET = "not attempted yet"
REVIEW = "a person will mark this"
UNMADE = "the cell that defines it did not run to its end"


def result_of(
    notebook: NotebookMaterial,
    cell: Cell,
    outcome: Outcome,
    *,
    points: float = 0.0,
    message: str = "",
    reason: str = "",
) -> TestResult:
    """Return the result of one graded cell; ``reason`` says why it is unverified.

    Also for the supervisor: a test that a limit ended has 0 points.
    """
    return TestResult(
        exercise=cell.exercise or notebook.name,
        name=cell.test or cell.grade_id or cell.id,
        points=points,
        max_points=cell.points,
        outcome=outcome,
        message=message,
        notebook=notebook.name,
        grade_id=cell.grade_id or cell.id,
        hidden=cell.hidden,
        mode="unverified" if reason else "verified",
        reason=reason,
    )


def outcome_for(points: float, maximum: float) -> Outcome:
    """Name what a test earned that ran to its end."""
    if points >= maximum:
        return "passed"
    return "partial" if points > 0 else "failed"
