"""Results of single cells."""

from studium_graders.engine.material import Cell, NotebookMaterial
from studium_graders.engine.results import Mode, Outcome, TestResult


def result_of(
    notebook: NotebookMaterial,
    cell: Cell,
    outcome: Outcome,
    *,
    points: float = 0.0,
    message: str = "",
    mode: Mode = "split",
) -> TestResult:
    """Give the result of one graded cell. Also for the supervisor: a test that a limit ended has 0 points."""
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
        mode=mode,
    )


def outcome_for(points: float, maximum: float) -> Outcome:
    """Name what a test earned that ran to its end."""
    if points >= maximum:
        return "passed"
    return "partial" if points > 0 else "failed"
