"""Grading the instructor's own solution first: what it needs, a student may have, and no more."""

from collections.abc import Callable, Set

import msgspec
from studium.errors import CourseError

from studium_graders.engine.judge.judge_job import Recorded
from studium_graders.engine.material.assignment import Calibration, CanonicalNotebook, Cell, NotebookMaterial, Step
from studium_graders.engine.material.results import NotebookResult, TestResult

_TRIES = 3
_PASSES_THERE = "your solution passes it only in the process of its own code"
_BLIND = "it passes apart without any answer"
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
    """Return what the reference needs, and the tests that cannot be verified though their text lets them run apart.

    These are tests that the reference passes whole and not apart, or that change what has crossed; those that it passes
    apart while it is recorded, and not once it may use no more than that; and those that the untouched notebook passes
    apart. To a test that it fails all the same the cautious default applies, and ``problems`` says why; without a
    reference it applies to all. Raise CourseError where the reference comes to no end.
    """
    if not any(cell.reference for cell in material.cells):
        return Calibration()
    return _Calibrating(material, reference_notebook(material), observe).calibration()


class _Calibrating:
    """One calibration: ``unverified`` has, by grade id, why a test is to run whole."""

    def __init__(self, material: NotebookMaterial, notebook: CanonicalNotebook, observe: Observe) -> None:
        self.material, self.notebook, self.observe = material, notebook, observe
        self.unverified: dict[str, str] = {}

    def calibration(self) -> Calibration:
        result, needs = self._recorded()
        if result.verdict != "graded":
            raise CourseError(
                f"the reference solution of {self.notebook.name} must be gradable: {result.verdict}, {result.detail}; "
                "nothing was graded: correct it, or raise [limits] in course.toml"
            )
        wrong = failed(result)
        self._apart(wrong)
        partly = frozenset(test.grade_id for test in result.tests if test.outcome == "partial")
        known = Calibration(
            known=True,
            permissions=needs.permissions,
            plain=needs.plain,
            unverified=dict(self.unverified),
            cautious=wrong,
            partly=partly,
            scored=needs.scored,
            suites=needs.suites,
            words=needs.words,
            problems=_problems(result, wrong),
        )
        return self._blind(self._enforced(known))

    def _recorded(self) -> tuple[NotebookResult, Recorded]:
        """Grade the reference until it loses nothing by where its tests run: one slow moment must not decide that."""
        for _ in range(_TRIES):
            result, needs = self._observe()
            if result.verdict == "graded" and not failed(result):
                break
        lost = dict.fromkeys(_apart_and(failed(result), result), _PASSES_THERE)
        if not (lost or needs.unverified):
            return result, needs
        self.unverified = lost | needs.unverified
        result, needs = self._observe()
        if nowhere := failed(result) & self.unverified.keys():  # what these need is known from two processes alone
            self._apart(nowhere)
            result, needs = self._observe()
        return result, needs

    def _observe(self) -> tuple[NotebookResult, Recorded]:
        return self.observe(self.notebook, Calibration(unverified=dict(self.unverified)), True)

    def _apart(self, tests: frozenset[str]) -> None:
        self.unverified = {name: why for name, why in self.unverified.items() if name not in tests}

    def _enforced(self, known: Calibration) -> Calibration:
        """Grade the reference by what was recorded; what it fails then runs whole, or else is a problem."""
        lost = self._lost(known)
        return self._moved(known, dict.fromkeys(lost, _PASSES_THERE), cautious=True) if lost else known

    def _lost(self, known: Calibration) -> frozenset[str]:
        """Return the tests that the reference fails each time by what was recorded, and passed while it was."""
        lost = failed(self.observe(self.notebook, known, False)[0]) - known.cautious
        for _ in range(1, _TRIES):
            if lost:
                lost &= failed(self.observe(self.notebook, known, False)[0])
        return lost

    def _blind(self, known: Calibration) -> Calibration:
        """Let the tests run whole that the untouched notebook passes apart; those of topics are checked elsewhere."""
        untouched = notebook_with(self.material, lambda cell: cell.source)
        result, _ = self.observe(untouched, known, False)
        topics = {cell.grade_id for cell in self.material.cells if cell.test}
        passed = {test.grade_id for test in result.tests if test.outcome == "passed" and test.max_points}
        blind = _apart_and(passed - topics - known.cautious, result)
        return self._moved(known, dict.fromkeys(blind, _BLIND), cautious=False) if blind else known

    def _moved(self, known: Calibration, unverified: dict[str, str], *, cautious: bool) -> Calibration:
        """Let tests run whole, but for those that the reference fails there; where ``cautious``, these are problems."""
        tried = _with(known, unverified=known.unverified | unverified)
        result, _ = self.observe(self.notebook, tried, False)
        wrong = unverified.keys() & failed(result)
        kept = {name: why for name, why in tried.unverified.items() if name not in wrong}
        if not cautious:
            return _with(known, unverified=kept)
        problems = known.problems + _problems(result, wrong)
        return _with(known, unverified=kept, cautious=known.cautious | wrong, problems=problems)


def _apart_and(tests: Set[str], result: NotebookResult) -> frozenset[str]:
    """Return those of some tests that ran apart."""
    return frozenset(test.grade_id for test in result.tests if test.grade_id in tests and test.mode == "verified")


_with = msgspec.structs.replace


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
