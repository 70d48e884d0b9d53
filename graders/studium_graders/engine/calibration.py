"""Grading the instructor's own solution first: what it needs, a student may have, and no more."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import msgspec
from studium.errors import CourseError

from studium_graders.engine.judge_job import Recorded
from studium_graders.engine.material import Calibration, CanonicalNotebook, Cell, NotebookMaterial, Step
from studium_graders.engine.results import NotebookResult, TestResult

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
    """Give what the reference needs. Tests that it passes in one process and not in two are to run in one.

    So are earlier ones that leave something for them that cannot be handed over, and those that it passes in two while
    it is recorded, and not once it may use no more than that. To a test that it fails all the same the cautious default
    applies, and ``problems`` says why; without a reference it applies to all. Tests noted for both ways are
    judged in both ways where the reference passes so. Raise CourseError where the reference comes to no end.
    """
    if not any(cell.reference for cell in material.cells):
        return Calibration()
    notebook = reference_notebook(material)
    result, needs = _observed(notebook, observe)
    together = failed(result)
    if together:
        result, needs, together = _observed_together(notebook, observe, together)
    if nowhere := together & failed(result):  # what such a test needs is known from a run in two processes alone
        together -= nowhere
        result, needs = observe(notebook, Calibration(one_process=together), True)
    if result.verdict != "graded":
        raise CourseError(
            f"the reference solution of {notebook.name} must be gradable: {result.verdict}, {result.detail}; nothing "
            "was graded: correct it, or raise [limits] in course.toml"
        )
    wrong = failed(result)
    together -= wrong
    of_names = (needs.handles, needs.operators, needs.mutates, needs.plain)
    problems = _problems(result, wrong)
    known = Calibration(True, *of_names, together, wrong, problems=problems, scored=needs.scored)
    partly = frozenset(test.grade_id for test in result.tests if test.outcome == "partial")
    known = _with(known, empties=needs.empties, draws=needs.draws, partly=partly)
    with ThreadPoolExecutor(1) as beside:
        unseen = beside.submit(_blind, material, observe, known)
        enforced = _enforced(notebook, observe, _with(known, both_ways=needs.both_ways - together - wrong))
        enforced = _reconsidered(notebook, observe, enforced)
        blind = unseen.result()
    return _with(enforced, one_process=enforced.one_process | blind, both_ways=enforced.both_ways - blind)


def _observed(notebook: CanonicalNotebook, observe: Observe) -> tuple[NotebookResult, Recorded]:
    """Grade the reference split, again where it loses points: a slow moment must not cost a test its isolation."""
    for _ in range(_TRIES):
        result, needs = observe(notebook, Calibration(), True)
        if result.verdict == "graded" and not failed(result):
            break
    return result, needs


def _observed_together(
    notebook: CanonicalNotebook, observe: Observe, together: frozenset[str]
) -> tuple[NotebookResult, Recorded, frozenset[str]]:
    """Grade the reference with tests in one process, and with what they need of earlier ones where that saves them."""
    result, needs = observe(notebook, Calibration(one_process=together), True)
    wrong = failed(result)
    if earlier := _earlier(wrong, needs) - together:
        again, needs_again = observe(notebook, Calibration(one_process=together | earlier), True)
        if failed(again) < wrong:
            return again, needs_again, together | _earlier(wrong - failed(again), needs)
    return result, needs, together


def _earlier(tests: frozenset[str], needs: Recorded) -> frozenset[str]:
    return frozenset(name for test in tests for name in needs.earlier.get(test, ()))


def _enforced(
    notebook: CanonicalNotebook, observe: Observe, known: Calibration, moved: frozenset[str] = frozenset()
) -> Calibration:
    """Grade the reference by what was recorded, and add what it takes for it to pass all the same.

    A test that it does not pass in both ways, one after the other, is ``moved`` to one process, and back if it does not
    pass there either.
    """
    lost = _lost(notebook, observe, known)
    if not lost:
        return known
    if twice := known.both_ways & lost:
        rest = _with(known, one_process=known.one_process | twice, both_ways=known.both_ways - twice)
        return _enforced(notebook, observe, rest, moved | twice)
    if back := moved & lost:
        return _enforced(notebook, observe, _with(known, one_process=known.one_process - back), moved - back)
    if known.both_ways or moved:
        known, lost = _sparing(notebook, observe, known, moved, lost)
    together = known.one_process | lost
    result, _ = observe(notebook, _with(known, one_process=together), False)
    wrong = lost & failed(result)
    return _with(
        known,
        one_process=together - wrong,
        cautious=known.cautious | wrong,
        problems=known.problems + _problems(result, wrong),
    )


def _sparing(
    notebook: CanonicalNotebook, observe: Observe, known: Calibration, moved: frozenset[str], lost: frozenset[str]
) -> tuple[Calibration, frozenset[str]]:
    """Judge every test split alone where other tests suffer else; give what the reference loses then."""
    once = _with(known, one_process=known.one_process - moved, both_ways=frozenset())
    still = _lost(notebook, observe, once)
    return (known, lost) if lost <= still else (once, still)


def _reconsidered(notebook: CanonicalNotebook, observe: Observe, known: Calibration) -> Calibration:
    """Take back what was said of tests that the reference passes once earlier ones are judged in both ways."""
    if not (known.cautious and known.both_ways):
        return known
    result, _ = observe(notebook, _with(known, cautious=frozenset()), False)
    wrong = known.cautious & failed(result)
    return _with(known, cautious=wrong, problems=_problems(result, wrong))


def _lost(notebook: CanonicalNotebook, observe: Observe, known: Calibration) -> frozenset[str]:
    """Give the tests that the reference fails each time by what was recorded, and passed while it was recorded."""
    result, _ = observe(notebook, known, False)
    lost = failed(result) - known.cautious
    for _ in range(1, _TRIES):
        if lost:
            result, _ = observe(notebook, known, False)
            lost &= failed(result)
    return lost


def _blind(material: NotebookMaterial, observe: Observe, calibration: Calibration) -> frozenset[str]:
    """Give the tests that the untouched notebook passes in two processes and not in one: they do not see the answer."""
    untouched = _notebook(material, lambda cell: cell.source)
    result, _ = observe(untouched, calibration, False)
    passed = frozenset(test.grade_id for test in result.tests if test.outcome == "passed") - calibration.one_process
    if not passed:
        return passed
    together, _ = observe(untouched, _with(calibration, one_process=passed), False)
    return passed & failed(together)


_with = msgspec.structs.replace


def failed(result: NotebookResult) -> frozenset[str]:
    """Give the grade ids of tests that did not earn all their points."""
    return frozenset(
        test.grade_id for test in result.tests if test.outcome != "manual" and test.points < test.max_points
    )


def _problems(result: NotebookResult, wrong: frozenset[str]) -> tuple[str, ...]:
    return tuple(_problem(result.name, test) for test in result.tests if test.grade_id in wrong)


def _problem(notebook: str, test: TestResult) -> str:
    if test.message:
        return f"the reference solution of {notebook} fails the test {test.name}: {test.message}"
    earned = f"{test.points:g} of {test.max_points:g} points"
    return f"the reference solution of {notebook} earns {earned} in the test {test.name}"
