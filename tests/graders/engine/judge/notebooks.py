"""Small notebooks for the judge's tests: material and submissions written as lists of cells."""

from __future__ import annotations

import dataclasses
import functools

import msgspec
from studium_graders.engine.judge.events import Judged, Ran
from studium_graders.engine.judge.modes import Turns, plan_of
from studium_graders.engine.judge.notebook import Work
from studium_graders.engine.judge.prepare import prepare
from studium_graders.engine.judge.whole import run_whole
from studium_graders.engine.material.assignment import Calibration, CanonicalNotebook, Cell, NotebookMaterial, Step

NOTHING_KNOWN = Calibration()
STUB = "# YOUR CODE HERE\nraise NotImplementedError()\n"


def given(source, **more):
    return ("given", source, more)


def answer(reference="", *, stub=STUB, **more):
    return ("answer", stub, {"reference": reference, **more})


def checked(source, *, points=1.0, **more):
    return ("test", source, {"points": points, "graded": True, "locked": True, **more})


def material(*cells, name="work"):
    made = [
        Cell(**{"id": f"{kind}{number}", "grade_id": f"{kind}{number}", **more}, kind=kind, source=source)
        for number, (kind, source, more) in enumerate(cells)
    ]
    return NotebookMaterial(name, tuple(made), b"{}")


def submission(notebook, *answers):
    """Fill the answer cells, in order, with ``answers``; None leaves the stub."""
    waiting = iter(answers)
    steps, untouched = [], set()
    for cell in notebook.cells:
        if cell.kind == "text":
            continue
        source = cell.source
        if cell.kind == "answer":
            source = next(waiting, None)
            if source is None:
                source = cell.source
                untouched.add(cell.id)
        kind = {"answer": "student", "given": "given", "test": "test"}[cell.kind]
        steps.append(Step(cell.id, kind, "" if kind == "test" else source))
    return CanonicalNotebook(notebook.name, tuple(steps), b"{}", frozenset(untouched))


@dataclasses.dataclass
class Graded:
    """What came of one run: results and runs by id of the cell, and all events."""

    results: dict
    runs: dict
    events: list
    needs: object

    @property
    def points(self):
        return [result.points for result in self.results.values()]

    @property
    def only(self):
        (result,) = self.results.values()
        return result


@functools.cache
def prepared(notebook):
    return prepare(notebook)


def grade(student, notebook, canonical, *, released=True, calibration=NOTHING_KNOWN, **options):
    """Run cells and tests of a notebook in order, and say of them what may be said."""
    ready = prepared(notebook)
    plan = plan_of(ready)
    names = frozenset(plan.reasons)
    work = Work(ready, canonical, plan, Turns(names, names), released, b"secret", calibration, **options)
    events = []
    needs = run_whole(student, work, events.append)
    results = {event.result.grade_id: event.result for event in events if isinstance(event, Judged)}
    assert all(msgspec.msgpack.decode(msgspec.msgpack.encode(event)) for event in events)
    return Graded(results, {event.cell: event.run for event in events if isinstance(event, Ran)}, events, needs)
