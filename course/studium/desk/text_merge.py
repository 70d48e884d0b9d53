"""Merge three versions of a text by lines: unchanged ones, those changed by one side, and those changed by both."""

from collections.abc import Iterator
from difflib import SequenceMatcher

Lines = list[str]


def merge_text(base: str, mine: str, theirs: str) -> str | None:
    """Return the text with both sides' changes; None if they changed the same lines or added some at one place."""
    if theirs in (base, mine):
        return mine
    if mine == base:
        return theirs
    old, own, new = base.splitlines(True), mine.splitlines(True), theirs.splitlines(True)
    changes = sorted([*_changes(old, own), *_changes(old, new)], key=lambda change: change[:2])
    merged: Lines = []
    position, inserted = 0, False
    for start, end, lines in dict.fromkeys((start, end, tuple(lines)) for start, end, lines in changes):
        unclear = start == position and (inserted or start == end) and bool(merged)  # which comes first is unknown
        if start < position or unclear:
            return None
        merged += [*old[position:start], *lines]
        position, inserted = end, start == end
    return "".join(_joined(merged + old[position:]))


def _changes(old: Lines, new: Lines) -> Iterator[tuple[int, int, Lines]]:
    for kind, start, end, first, last in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind != "equal":
            yield start, end, new[first:last]


def _joined(lines: Lines) -> Iterator[str]:
    """Return the lines; the last line of a text gets a line end if others follow it now."""
    for number, line in enumerate(lines, 1):
        yield line if number == len(lines) or line.endswith("\n") else line + "\n"
