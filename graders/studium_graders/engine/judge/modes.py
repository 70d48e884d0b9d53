"""Which tests run apart from the answers and which whole, and which of them a pass runs."""

from typing import NamedTuple

from studium_graders.engine.judge.events import How, Planned
from studium_graders.engine.judge.prepare import Prepared, PreparedTest
from studium_graders.engine.material.assignment import Cell, NotebookMaterial

PLAIN = "it is a plain test cell, which runs in the process of the answers, as in nbgrader"


class Turns(NamedTuple):
    """The tests that a pass runs, and those of them that it is for: what the others give is thrown away."""

    run: frozenset[str]
    judged: frozenset[str]


def plan_of(prepared: Prepared) -> Planned:
    """Decide how each test of a whole notebook runs, in the order of its cells."""
    return Planned({name: why_whole(test) for name, test in prepared.tests.items()}, prepared.late)


def why_whole(test: PreparedTest) -> str:
    """Return why a test runs whole, "" where it runs apart. This is the only place where that is decided."""
    return "" if test.exercise_test is not None else PLAIN


def turns_of(material: NotebookMaterial, plan: Planned, *, released: bool, how: How) -> Turns:
    """Return the tests of one pass over a whole notebook.

    A plain test that is hidden in part is in two: it speaks in the released pass, and counts in the hidden one. Of a
    hidden test of a topic students have only the title, and nothing of it is run before the hidden pass.
    """
    cells = {cell.id: cell for cell in material.cells if cell.kind == "test"}
    mine = {name for name in plan.reasons if plan.how(name) == how}
    if released:
        run = {name for name, cell in cells.items() if _seen_of(cell).strip()} - plan.late
        judged = run & mine - ({name for name in mine if cells[name].hidden} if how == "apart" else set())
    else:
        run = set(cells)
        judged = mine & ({name for name, cell in cells.items() if cell.hidden} | plan.late)
    return Turns(frozenset(run if how == "whole" else judged), frozenset(judged))


def _seen_of(cell: Cell) -> str:
    return cell.released if cell.hidden else cell.source
