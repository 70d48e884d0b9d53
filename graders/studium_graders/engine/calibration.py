"""Grading the instructor's own solution first: what it needs, a student may have, and no more."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import msgspec
from studium.errors import CourseError

from studium_graders.engine.judge_job import Recorded
from studium_graders.engine.material import Calibration, CanonicalNotebook, Cell, NotebookMaterial, Step
from studium_graders.engine.results import NotebookResult

_TRIES = 3
Observe = Callable[[CanonicalNotebook, Calibration, bool], tuple[NotebookResult, Recorded]]
"""Grades a notebook under a calibration; True records what it needs."""


def reference_notebook(material: NotebookMaterial) -> CanonicalNotebook:
    """Give the notebook as the instructor solved it; a cell without a solution stays as students got it."""
    return _notebook(material, lambda cell: cell.reference or cell.source)


def _notebook(material: NotebookMaterial, answer: Callable[[Cell], str]) -> CanonicalNotebook:
    steps = tuple(step for cell in material.cells for step in _steps(cell, answer))
    return CanonicalNotebook(material.name, steps, material.template)


def _steps(cell: Cell, answer: Callable[[Cell], str]) -> list[Step]:
    if cell.kind == "text":
        return []
    if cell.kind == "answer":
        return [Step(cell.id, "student", answer(cell))]
    return [Step(cell.id, cell.kind, "" if cell.kind == "test" else cell.source)]


def calibrate(material: NotebookMaterial, observe: Observe) -> Calibration:
    """Give what the reference needs. Tests that it passes in one process and never in two are to run in one.

    Where it fails a test all the same, or there is none, or it fails once it may use no more than what was recorded,
    the cautious default applies and ``problems`` says why. Raise CourseError where the reference comes to no end.
    """
    if not any(cell.reference for cell in material.cells):
        return Calibration()
    notebook = reference_notebook(material)
    result, needs = _observed(notebook, observe)
    together = failed(result)
    if together:
        second, needs = observe(notebook, Calibration(one_process=together), True)
        together -= failed(second)
        result = second
    known = Calibration(not failed(result), needs.handles, needs.operators, needs.mutates, together)
    with ThreadPoolExecutor(1) as beside:
        unseen = beside.submit(_blind, material, observe, known)
        if known.known:
            result, _ = observe(notebook, known, False)
        blind = unseen.result()
    if problems := _problems(result):
        return Calibration(one_process=together | blind, problems=problems)
    return msgspec.structs.replace(known, one_process=together | blind)


def _observed(notebook: CanonicalNotebook, observe: Observe) -> tuple[NotebookResult, Recorded]:
    """Grade the reference split, again where it loses points: a slow moment must not cost a test its isolation."""
    for _ in range(_TRIES):
        result, needs = observe(notebook, Calibration(), True)
        if result.verdict == "graded" and not failed(result):
            break
    if result.verdict != "graded":
        raise CourseError(
            f"the reference solution of {notebook.name} must be gradable: {result.verdict}, {result.detail}; nothing "
            "was graded: correct it, or raise [limits] in course.toml"
        )
    return result, needs


def _blind(material: NotebookMaterial, observe: Observe, calibration: Calibration) -> frozenset[str]:
    """Give the tests that the untouched notebook passes in two processes and not in one: they do not see the answer."""
    untouched = _notebook(material, lambda cell: cell.source)
    result, _ = observe(untouched, calibration, False)
    passed = frozenset(test.grade_id for test in result.tests if test.outcome == "passed") - calibration.one_process
    if not passed:
        return passed
    together, _ = observe(untouched, msgspec.structs.replace(calibration, one_process=passed), False)
    return passed & failed(together)


def failed(result: NotebookResult) -> frozenset[str]:
    """Give the grade ids of tests that did not earn all their points."""
    return frozenset(
        test.grade_id for test in result.tests if test.outcome != "manual" and test.points < test.max_points
    )


def _problems(result: NotebookResult) -> tuple[str, ...]:
    return tuple(
        f"the reference solution of {result.name} fails the test {test.name}: {test.message}"
        for test in result.tests
        if test.grade_id in failed(result)
    )
