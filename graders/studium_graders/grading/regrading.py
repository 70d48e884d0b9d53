"""What a regrade changes, and why: each mark that changes, with the messages and the basis of both results."""

from collections.abc import Iterator, Sequence

import msgspec

from studium_graders.engine.material.results import TestResult
from studium_graders.grading.class_result import ClassResult, TestRow
from studium_graders.results.history import Attempt, Basis, HistoryResult
from studium_graders.results.mark_changes import LATE, MarkChange

_PARTS = (
    ("tests", "the assignment was rebuilt"),
    ("limits", "the limits have changed"),
    ("software", "Python, a library, Studium or a topic has another version"),
    ("sandbox", "the sandbox level has changed"),
)
LATENESS = "the time, the due date, the extension, the late policy or the marks of this notebook have changed"
UNKNOWN = "the earlier result is not in the history, so nothing can be compared"
SAME = "nothing else is known to have changed: the result varies between runs"


class Regrade(msgspec.Struct, frozen=True):
    """One mark that changes. ``why`` lists the known reasons; messages are "" if nothing failed."""

    student: str
    notebook: str
    cell: str
    exercise: str
    test: str
    before: float | None
    after: float | None
    was: str
    now: str
    why: tuple[str, ...]
    is_gain: bool


def regrades(result: ClassResult, attempts: Sequence[Attempt]) -> list[Regrade]:
    """Explain the changes of a grading run; ``attempts`` are those in the history before the run."""
    last = {attempt.student: attempt for attempt in attempts}
    rows = {row.student: row for row in result.submissions}
    found = []
    for change in result.changes:
        row, attempt = rows.get(change.student), last.get(change.student)
        if row is None:
            continue
        new = next((test for test in row.tests if _is_of(test, change)), None)
        old = attempt.results[-1] if attempt and attempt.results else None
        was = next((test for test in old.tests if _is_of(test, change)), None) if old else None
        changed = attempt is not None and attempt.sha256 != row.sha256
        found.append(_regrade(change, new, was, tuple(_why(change, old, result.basis, changed=changed))))
    return found


def _is_of(test: TestRow | TestResult, change: MarkChange) -> bool:
    return (test.notebook, test.grade_id) == (change.notebook, change.cell)


def _regrade(change: MarkChange, new: TestRow | None, was: TestResult | None, why: tuple[str, ...]) -> Regrade:
    return Regrade(
        change.student,
        change.notebook,
        change.cell,
        new.exercise if new else change.notebook,
        new.name if new else change.cell,
        change.before,
        change.after,
        was.message if was else "",
        new.message if new else "",
        why,
        change.is_gain,
    )


def _why(change: MarkChange, old: HistoryResult | None, basis: Basis, *, changed: bool) -> Iterator[str]:
    if change.cell == LATE:
        yield LATENESS
        return
    if old is None:
        yield UNKNOWN
        return
    reasons = ["the answer was handed in again"] if changed else []
    reasons += [text for part, text in _PARTS if getattr(old.basis, part) != getattr(basis, part)]
    yield from reasons or [SAME]
