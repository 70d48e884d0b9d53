"""Vacuous answers are handed in once, when an assignment is built, and their author is told which tests they pass."""

from collections.abc import Callable, Iterator

import msgspec
from studium.exercises.vacuous import VACUOUS, table

from studium_graders.engine.intake.cell_matching import bound_names
from studium_graders.engine.material.assignment import CanonicalNotebook, Cell, NotebookMaterial
from studium_graders.engine.material.results import NotebookResult
from studium_graders.engine.supervision.calibration import notebook_with

_REPLACED = """
from studium.exercises.vacuous import vacuous as _vacuous
{names} = [_vacuous({kind!r}, _right) for _right in ({names})]
"""


class VacuousTest(msgspec.Struct, frozen=True):
    """A test, and the vacuous answers that pass it."""

    test: str
    answers: list[str]


def tests_passed_vacuously(
    books: list[NotebookMaterial], grade: Callable[[CanonicalNotebook], NotebookResult]
) -> list[VacuousTest]:
    """Grade each notebook with each vacuous answer in the place of all its answers; return the tests that these pass.

    ``grade`` judges by what the reference needs, as submissions are judged.
    """
    found = table(
        pair for book in books if any(cell.reference for cell in book.cells) for pair in _passing(book, grade)
    )
    return [VacuousTest(test, answers) for test, answers in found.items()]


def _passing(book: NotebookMaterial, grade: Callable[[CanonicalNotebook], NotebookResult]) -> Iterator[tuple[str, str]]:
    for kind in VACUOUS:
        for test in grade(notebook_with(book, lambda cell, kind=kind: _vacuous(cell, kind))).tests:  # type: ignore[misc]
            if test.outcome == "passed" and test.max_points:
                yield test.grade_id, kind


def _vacuous(cell: Cell, kind: str) -> str:
    """Return the solution of a cell with what it makes replaced."""
    names = sorted(bound_names(cell.reference))
    replaced = _REPLACED.format(names="".join(f"{name}, " for name in names).rstrip(), kind=kind) if names else ""
    return f"{cell.reference}\n{replaced}" if cell.reference else cell.source
