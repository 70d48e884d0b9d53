"""A pass over one submitted notebook: its cells and tests, in order."""

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import cached_property

import msgspec

from studium_graders.engine.judge.events import Event, Finished, Judged, Planned
from studium_graders.engine.judge.modes import Turns
from studium_graders.engine.judge.prepare import Prepared, PreparedTest
from studium_graders.engine.judge.verdicts import NOT_YET, result_of
from studium_graders.engine.judge_side.student import Student
from studium_graders.engine.material.assignment import Calibration, CanonicalNotebook, Step

Emit = Callable[[Event], None]
_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Work:
    """A pass over one submitted notebook.

    ``released`` where students have the notebook so: all may be said. ``seed`` is the secret from which random test
    data follow. ``skip`` are ids of cells that ended an attempt and are left out, ``slow`` the tests among them that
    were stopped for their time: others of the same answers have less of it. ``done`` are tests that an earlier attempt
    of the pass has judged.
    """

    prepared: Prepared
    canonical: CanonicalNotebook
    plan: Planned
    turns: Turns
    released: bool
    seed: bytes
    calibration: Calibration
    skip: Collection[str] = ()
    slow: Collection[str] = ()
    done: Collection[str] = ()

    @cached_property
    def running(self) -> frozenset[str]:
        """The tests that are run: what is done is run again where others may build on it."""
        left_in = self.turns.run - frozenset(self.skip)
        return frozenset(name for name in left_in if name not in self.done or self._is_mentioned(name))

    def _is_mentioned(self, name: str) -> bool:
        """Return whether a name that a test makes occurs in an answer or another test."""
        others = [test.cell.source for test in self.prepared.tests.values() if test.cell.id != name]
        words = _WORD.findall("\n".join([*others, *(step.source for step in self.canonical.steps)]))
        return not self.prepared.tests[name].makes.isdisjoint(words)

    def steps(self, student: Student, emit: Emit) -> Iterator[tuple[Step, PreparedTest | None]]:
        """Yield the steps in order, each with its test if it is one, while the limits of that test hold."""
        for event in _by_hand(self.prepared, self.canonical):
            emit(event)
        usual = student.limits
        slow = frozenset[str]().union(*(self.prepared.tests[test].answers for test in self.slow))
        for step in self.canonical.steps:
            test = self.prepared.tests[step.cell] if step.kind == "test" else None
            student.allow(usual.after_a_stop() if test and test.answers & slow else usual)
            if step.cell not in self.skip:
                yield step, test
            student.allow(usual)
        emit(Finished())

    def is_untouched(self, test: PreparedTest) -> bool:
        """Return whether nothing was written of the answers that a test is about."""
        return bool(test.answers) and test.answers <= self.canonical.untouched


def _by_hand(prepared: Prepared, canonical: CanonicalNotebook) -> Iterator[Event]:
    """Return a result to what a person grades: it waits, or nothing was written."""
    for cell in prepared.material.cells:
        if cell.graded and cell.kind in ("answer", "text"):
            untouched = cell.id in canonical.untouched
            result = result_of(prepared.material, cell, "not attempted" if untouched else "manual")
            yield Judged(msgspec.structs.replace(result, message=NOT_YET if untouched else ""))
