"""What recording a submission would change in the gradebook, and which of its marks may change."""

from typing import Any, Literal

import msgspec

LATE = "late penalty"


class MarkChange(msgspec.Struct, frozen=True):
    """A mark in the gradebook that would change. None is a mark that a person has to give."""

    student: str
    notebook: str
    cell: str  # grade id, or "late penalty"
    before: float | None
    after: float | None

    @property
    def is_gain(self) -> bool:
        """Whether the student gains by it; a mark that a person has to give does not count as a gain."""
        if self.before is None or self.after is None:
            return False
        return self.after < self.before if self.cell == LATE else self.after > self.before


class Selection(msgspec.Struct, frozen=True):
    """Which marks in the gradebook may change: all, only gains, or none; limited to ``tests`` if there are any.

    Tests are named as "notebook/cell". A late penalty follows if another mark of its notebook changes.
    """

    changes: Literal["all", "gains", "none"] = "all"
    tests: frozenset[str] = frozenset()

    def wants(self, change: MarkChange) -> bool:
        """Return whether a mark may change."""
        if self.changes == "none" or (self.tests and f"{change.notebook}/{change.cell}" not in self.tests):
            return False
        return self.changes == "all" or change.is_gain


ALL = Selection()


class Plan(msgspec.Struct):
    """What recording one submission would write: rows by model, and the marks that would change.

    ``score`` are the points that count then, with marks by hand, before the ``penalty``; ``waiting`` are the points
    that nobody has decided yet. ``untimed``: late work loses points, but the time of this submission is unknown.
    """

    student: str
    inserts: dict[str, list[dict[str, Any]]] = {}
    updates: dict[str, list[dict[str, Any]]] = {}
    changes: list[MarkChange] = []
    penalty: float = 0.0
    score: float = 0.0
    waiting: float = 0.0
    untimed: bool = False

    @property
    def mark(self) -> float:
        """The points after the penalty, never below 0: the mark in feedback and export."""
        return max(0.0, self.score - self.penalty)
