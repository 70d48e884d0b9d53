"""Grading the instructor's own solution first: what it needs, a student may have, and no more."""

from collections.abc import Callable, Set

import msgspec
from studium.errors import CourseError

from studium_graders.engine.judge.judge_job import Recorded
from studium_graders.engine.material.assignment import Calibration, CanonicalNotebook, Cell, NotebookMaterial, Step
from studium_graders.engine.material.results import NotebookResult, TestResult

_TRIES = 3
Observe = Callable[[CanonicalNotebook, Calibration, bool], tuple[NotebookResult, Recorded]]
"""Grades a notebook under a calibration; True records what it needs."""


def reference_notebook(material: NotebookMaterial) -> CanonicalNotebook:
    """Return the notebook as the instructor solved it; a cell without a solution stays as students got it."""
    return notebook_with(material, lambda cell: cell.reference or cell.source)


def notebook_with(material: NotebookMaterial, answer: Callable[[Cell], str]) -> CanonicalNotebook:
    """Return a notebook in which ``answer`` says what stands in each answer cell."""
    steps = tuple(step for cell in material.cells for step in _steps(cell, answer))
    return CanonicalNotebook(material.name, steps, material.template)


def _steps(cell: Cell, answer: Callable[[Cell], str]) -> list[Step]:
    if cell.kind == "text":
        return []
    if cell.kind == "answer":
        return [Step(cell.id, "student", answer(cell))]
    return [Step(cell.id, cell.kind, "" if cell.kind == "test" else cell.source)]


def calibrate(material: NotebookMaterial, observe: Observe) -> Calibration:
    """Return what the reference needs; ``problems`` are the tests that it fails.

    The reference is graded once while what it needs is noted, and where that is something once more with no more than
    that. Where it fails a test it is graded again: one slow moment must not decide that. Raise CourseError where the
    reference comes to no end.
    """
    if not any(cell.reference for cell in material.cells):
        return Calibration()
    notebook = reference_notebook(material)
    for _ in range(_TRIES):
        result, needs = observe(notebook, Calibration(), True)
        if result.verdict == "graded" and not failed(result):
            break
    if result.verdict != "graded":
        raise CourseError(
            f"the reference solution of {notebook.name} must be gradable: {result.verdict}, {result.detail}; "
            "nothing was graded: correct it, or raise [limits] in course.toml"
        )
    known = Calibration(needs.scored, needs.words, _problems(result, failed(result)))
    return _enforced(known, failed(result), notebook, observe) if known.words else known


def _enforced(known: Calibration, wrong: Set[str], notebook: CanonicalNotebook, observe: Observe) -> Calibration:
    """Grade the reference with no more than it needed; what it fails each time, and has passed before, is a problem."""
    lost = frozenset(known.words) - wrong
    for _ in range(_TRIES):
        result, _needs = observe(notebook, known, False)
        lost &= failed(result)
        if not lost:
            return known
    return msgspec.structs.replace(known, problems=known.problems + _problems(result, lost))


def failed(result: NotebookResult) -> frozenset[str]:
    """Return the grade ids of tests that did not earn all their points."""
    return frozenset(
        test.grade_id for test in result.tests if test.outcome != "manual" and test.points < test.max_points
    )


def _problems(result: NotebookResult, wrong: Set[str]) -> tuple[str, ...]:
    return tuple(_problem(result.name, test) for test in result.tests if test.grade_id in wrong)


def _problem(notebook: str, test: TestResult) -> str:
    if test.message:
        return f"the reference solution of {notebook} fails the test {test.name}: {test.message}"
    earned = f"{test.points:g} of {test.max_points:g} points"
    return f"the reference solution of {notebook} earns {earned} in the test {test.name}"
