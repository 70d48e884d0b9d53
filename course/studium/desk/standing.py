"""Where a learner stands with an exercise, which is derived from the entries and never stored."""

from collections.abc import Iterable
from typing import Literal

import msgspec
from msgspec import UNSET

from studium.desk.records import LONGEST_ANSWER, Checked, Entry, Hinted, Kept, Revealed
from studium.exercises.checking import ExerciseResult, common_cause, shown_failure, with_sentence

Status = Literal["untouched", "wrong", "right", "revealed"]


class Version(msgspec.Struct, frozen=True):
    """One answer in the history; ``outcome`` is that of its check, or None."""

    id: str
    time: int
    reason: str
    outcome: str | None
    answer: str


class Standing(msgspec.Struct, frozen=True):
    """What is known about one exercise.

    ``revealed_first`` is true if a solution was shown before the exercise was right. Then its status remains
    "revealed", whatever is checked later, because the answer is not the learner's own work.
    """

    last: Checked | None = None
    checked_at: int | None = None
    attempts: int = 0
    hints_taken: int = 0
    revealed: bool = False
    revealed_first: bool = False
    versions: tuple[Version, ...] = ()

    @property
    def outcome(self) -> str | None:
        """What the last check found, or None if there was none since the last reset."""
        return self.last.outcome if self.last else None

    @property
    def status(self) -> Status:
        """The status in one word."""
        if self.revealed_first:
            return "revealed"
        return self.last.outcome if self.last else "untouched"

    @property
    def by_yourself(self) -> bool:
        """Whether the exercise is right, and was so before any solution was shown."""
        return self.status == "right"

    @property
    def was_right(self) -> bool:
        """Whether the history has a right answer."""
        return any(version.outcome == "right" for version in self.versions)

    def may_see_solution(self, attempts: int) -> bool:
        """Return whether enough attempts were made, the exercise is right, or the solution was seen before."""
        return self.revealed or self.outcome == "right" or self.attempts >= attempts


def standing(entries: Iterable[Entry]) -> Standing:
    """Derive where a learner stands with one exercise from its entries in order of time."""
    last, checked_at, hints, right, revealed, revealed_first = None, None, 0, False, False, False
    tried: set[str] = set()
    versions: list[Version] = []
    for entry in entries:
        match entry.what:
            case Checked(outcome=outcome, answer=answer) as what:
                last, checked_at = what, entry.time
                right = right or outcome == "right"
                tried.add(answer.strip() or entry.id)  # a kernel leaves out the blank lines of a cell
                _keep(versions, entry, "checked", outcome, answer)
            case Hinted(number=number):
                hints = max(hints, number)
            case Revealed():
                revealed, revealed_first = True, revealed_first or not right
            case Kept(reason=reason, answer=answer):
                last = None if reason in ("reset", "restored") else last
                _keep(versions, entry, reason, None, answer)
    return Standing(last, checked_at, len(tried), hints, revealed, revealed_first, tuple(reversed(versions)))


def checked(result: ExerciseResult, answer: str) -> Checked:
    """Return the record of a result that is right or wrong; if every test fails for one reason, it names no test."""
    assert result.outcome != "not attempted"
    failure, everywhere = shown_failure(result), bool(common_cause(result))
    return Checked(
        result.outcome,
        result.points,
        result.max_points,
        failure.name[:1000] if failure and not everywhere else "",
        failure.message[:10_000] if failure else "",
        result.mistake_id[:10_000],
        answer[:LONGEST_ANSWER],
        result.among or UNSET,
        with_sentence(result, "").mistake[:10_000] or UNSET,
        result.smallest[:10_000] or UNSET,
    )


def _keep(versions: list[Version], entry: Entry, reason: str, outcome: str | None, answer: str) -> None:
    """Add a version, replacing one with the same text, whose check result still applies."""
    if not answer:
        return
    if versions and versions[-1].answer.strip() == answer.strip():
        same = versions.pop()
        outcome = outcome or same.outcome
    versions.append(Version(entry.id, entry.time, reason, outcome, answer))
