"""What a grading run is told, and who is told how it goes."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from studium_graders.results.mark_changes import ALL, MarkChange, Selection


class GradeOptions(msgspec.Struct, frozen=True):
    """How to grade. ``jobs`` 0 means one per processor; ``students`` empty means all of them."""

    students: tuple[str, ...] = ()
    jobs: int = 0
    executor: str = "local"
    scheduler: str = ""
    resume: bool = False
    force: bool = False
    trust: bool = False
    dry_run: bool = False
    selection: Selection = ALL


class Watcher(Protocol):
    """Is told how grading is going, and asked before marks change."""

    def begin(self, total: int, sandbox: str) -> None:
        """Grading of ``total`` submissions begins."""

    def done(self, student: str, *, reused: bool) -> None:
        """Another submission has its result."""

    def note(self, sentence: str) -> None:
        """Something the instructor should know."""

    def agree(self, changes: Sequence[MarkChange]) -> bool:
        """Return whether marks in the gradebook may change."""
