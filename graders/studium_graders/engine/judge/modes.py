"""Which tests run apart from the answers and which whole, by their text and by what the reference solution showed."""

from collections.abc import Iterator
from typing import NamedTuple

from studium_graders.engine.judge.events import How, Planned
from studium_graders.engine.judge.prepare import Prepared, PreparedTest
from studium_graders.engine.material.assignment import Calibration, Cell, NotebookMaterial

_READS = "it reads what an unverified test makes"


class Turns(NamedTuple):
    """The tests that a pass runs, and those of them that it is for: what the others give is thrown away."""

    run: frozenset[str]
    judged: frozenset[str]


def plan_of(prepared: Prepared, calibration: Calibration) -> Planned:
    """Decide how each test of a whole notebook runs, in the order of its cells."""
    reasons: dict[str, str] = {}
    for name, test in prepared.tests.items():
        part = prepared.as_released.tests[name].unverified if prepared.as_released else ""
        known = test.unverified or part or calibration.unverified.get(test.cell.grade_id, "")
        reasons[name] = known or (_READS if _reads_unverified(test, reasons) else "")
    topics = frozenset(name for name, test in prepared.tests.items() if test.exercise_test is not None)
    return Planned(reasons | dict.fromkeys(topics, ""), frozenset(_late(prepared)), topics)


def _reads_unverified(test: PreparedTest, reasons: dict[str, str]) -> bool:
    """Return whether a test needs values of one that does not run in the judge, which has its definitions."""
    return test.exercise_test is None and any(reasons[item.cell] for item in test.before if not item.by_text)


def _late(prepared: Prepared) -> Iterator[str]:
    """Yield the visible tests that need what students do not see of an earlier test."""
    for name, test in prepared.tests.items():
        if prepared.as_released is not None and not test.cell.hidden and test.exercise_test is None:
            seen = {(item.cell, item.source) for item in prepared.as_released.tests[name].before}
            if any(item.hidden and (item.cell, item.source) not in seen for item in test.before):
                yield name


def turns_of(material: NotebookMaterial, plan: Planned, *, released: bool, how: How) -> Turns:
    """Return the tests of one pass over a whole notebook.

    A test that is hidden in part is in two: it speaks in the released pass, and counts in the hidden one.
    """
    cells = {cell.id: cell for cell in material.cells if cell.kind == "test"}
    mine, whole = {name for name in plan.reasons if plan.how(name) == how}, how == "whole"
    if released:
        seen = {name for name, cell in cells.items() if _seen_of(cell).strip()} - plan.late
        if how == "topics":  # a hidden test of a topic leaves only its title
            seen -= {name for name, cell in cells.items() if cell.hidden}
        return Turns(frozenset(seen if whole else seen & mine), frozenset(seen & mine))
    judged = mine & ({name for name, cell in cells.items() if cell.hidden} | plan.late)
    run = {"whole": cells.keys(), "apart": mine, "topics": judged}[how]  # those of topics build on nothing
    return Turns(frozenset(run | judged), frozenset(judged))


def _seen_of(cell: Cell) -> str:
    return cell.released if cell.hidden else cell.source
