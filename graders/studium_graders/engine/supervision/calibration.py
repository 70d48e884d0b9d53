"""Grading the instructor's own solution first: what it needs, a student may have, and no more."""

from collections.abc import Callable

import msgspec
from studium.errors import CourseError

from studium_graders.engine.judge.judge_job import Recorded
from studium_graders.engine.material.assignment import Calibration, CanonicalNotebook, Cell, NotebookMaterial, Step
from studium_graders.engine.material.results import NotebookResult, TestResult

_TRIES = 3
_PASSES_THERE = "your solution passes it only in the process of its own code"
_LEFT_THERE = "it leaves something for a test in one process"
_BLIND = "split, it would pass without any answer"
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
    """Return what the reference needs. Tests that it passes in one process and not in two are to run in one.

    So are tests that change what has crossed, earlier ones that leave something for them that cannot be handed over
    (those whose names they use; where that saves none, all that students see),
    those that it passes in two while it is recorded, and not once it may use no more than that, and those that the
    untouched notebook passes split alone. To a test that it fails all the same the cautious default applies, and
    ``problems`` says why; without a reference it applies to all. Raise CourseError where the reference comes to no end.
    """
    if not any(cell.reference for cell in material.cells):
        return Calibration()
    return _Calibrating(material, reference_notebook(material), observe).calibration()


class _Calibrating:
    """One calibration: ``together`` has, by grade id, why a test is to run in one process."""

    def __init__(self, material: NotebookMaterial, notebook: CanonicalNotebook, observe: Observe) -> None:
        self.material, self.notebook, self.observe = material, notebook, observe
        self.together: dict[str, str] = {}

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
            one_process=dict(self.together),
            controlled=needs.controlled,
            cautious=wrong,
            partly=partly,
            scored=needs.scored,
            suites=needs.suites,
            problems=_problems(result, wrong),
        )
        return self._blind(self._enforced(known))

    def _recorded(self) -> tuple[NotebookResult, Recorded]:
        """Grade the reference until it loses nothing by where its tests run; a slow moment must not cost isolation."""
        for _ in range(_TRIES):
            result, needs = self._observe()
            if result.verdict == "graded" and not failed(result):
                break
        lost = dict.fromkeys(failed(result), _PASSES_THERE)
        if not (lost or needs.one_process):
            return result, needs
        self.together = lost | needs.one_process
        result, needs = self._observe()
        for look in (_earlier, self._before):
            still = failed(result)
            if earlier := look(still, needs) - self.together.keys():
                self.together |= dict.fromkeys(earlier, _LEFT_THERE)
                tried = self._observe()
                if failed(tried[0]) < still:
                    result, needs = tried
                else:
                    self._apart(earlier)
        if nowhere := failed(result) & self.together.keys():  # what these need is known from two processes alone
            self._apart(nowhere)
            result, needs = self._observe()
        return result, needs

    def _before(self, tests: frozenset[str], needs: Recorded) -> frozenset[str]:
        """Return all visible tests before the last of some: an answer may have changed its own data in any of them."""
        cells = [cell for cell in self.material.cells if cell.kind == "test"]
        last = max((place for place, cell in enumerate(cells) if cell.grade_id in tests), default=0)
        return frozenset(cell.grade_id for cell in cells[:last] if not cell.hidden)

    def _observe(self) -> tuple[NotebookResult, Recorded]:
        return self.observe(self.notebook, Calibration(one_process=dict(self.together)), True)

    def _apart(self, tests: frozenset[str]) -> None:
        self.together = {name: why for name, why in self.together.items() if name not in tests}

    def _enforced(self, known: Calibration) -> Calibration:
        """Grade the reference by what was recorded, and add what it takes for it to pass all the same."""
        lost = self._lost(known)
        if not lost:
            return known
        together = known.one_process | dict.fromkeys(lost, _PASSES_THERE)
        _, needs = self.observe(self.notebook, Calibration(one_process=together), True)
        result, _ = self.observe(self.notebook, _with(known, one_process=together), False)
        wrong = lost & failed(result)
        return _with(
            known,
            one_process={name: why for name, why in together.items() if name not in wrong},
            controlled=known.controlled | needs.controlled,
            cautious=known.cautious | wrong,
            problems=known.problems + _problems(result, wrong),
        )

    def _lost(self, known: Calibration) -> frozenset[str]:
        """Return the tests that the reference fails each time by what was recorded, and passed while it was."""
        lost = failed(self.observe(self.notebook, known, False)[0]) - known.cautious
        for _ in range(1, _TRIES):
            if lost:
                lost &= failed(self.observe(self.notebook, known, False)[0])
        return lost

    def _blind(self, known: Calibration) -> Calibration:
        """Move the tests to one process that the untouched notebook passes in two, and not in one."""
        untouched = notebook_with(self.material, lambda cell: cell.source)
        result, _ = self.observe(untouched, known, False)
        passed = {test.grade_id for test in result.tests if test.outcome == "passed" and test.mode == "split"}
        if not passed:
            return known
        tried = known.one_process | dict.fromkeys(passed, _BLIND)
        blind = passed & failed(self.observe(untouched, _with(known, one_process=tried), False)[0])
        if not blind:
            return known
        together = known.one_process | dict.fromkeys(blind, _BLIND)
        _, needs = self.observe(self.notebook, Calibration(one_process=together), True)
        return _with(known, one_process=together, controlled=known.controlled | needs.controlled)


def _earlier(tests: frozenset[str], needs: Recorded) -> frozenset[str]:
    return frozenset(name for test in tests for name in needs.earlier.get(test, ()))


_with = msgspec.structs.replace


def failed(result: NotebookResult) -> frozenset[str]:
    """Return the grade ids of tests that did not earn all their points."""
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
