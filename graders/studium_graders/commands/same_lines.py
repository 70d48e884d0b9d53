"""What ``studium grade`` and ``studium report`` print about answers that are the same."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import typer
from studium.cli.output import plain

if TYPE_CHECKING:
    from studium_graders.grading.answers.same_answers import Mention, SameAnswers, SameGroup

_MOST_LINES = 10
_MOST_NAMES = 10  # names in a line
_MOST_LETTERS = 60  # characters of a comment


def show_same(same: "SameAnswers", *, more_in: str) -> None:
    """Print a class's groups and comments, the telling ones first; ``more_in`` names the place that lists all."""
    lines = list(_lines(same))
    if not lines:
        return
    typer.echo("the same answers (evidence for a person to look at, never a verdict):")
    typer.echo("\n".join(f"  {plain(line)}" for line in lines[:_MOST_LINES]))
    if len(lines) > _MOST_LINES:
        typer.echo(f"  and {len(lines) - _MOST_LINES} more ({more_in})")


def _lines(same: "SameAnswers") -> Iterator[str]:
    yield from (_group(group) for group in same.groups if not group.expected)
    yield from (_mention(one) for one in same.mentions)
    yield from (_group(group) for group in same.groups if group.expected)


def _group(group: "SameGroup") -> str:
    names = ", ".join(group.students[:_MOST_NAMES])
    more = len(group.students) - _MOST_NAMES
    why = "short answers are often identical by chance" if group.expected else _size(group)
    return f"{group.kind}: {names}{f' and {more} more' if more > 0 else ''} ({why})"


def _size(group: "SameGroup") -> str:
    cells = f"{group.cells} answer{'' if group.cells == 1 else 's'}"
    return f"{cells}, the longest of {group.lines} lines"


def _mention(one: "Mention") -> str:
    said = one.comment if len(one.comment) <= _MOST_LETTERS else f"{one.comment[:_MOST_LETTERS]}…"
    return f"{one.student} names {one.names} in a comment in {one.cell}{f': {said}' if said else ''}"
