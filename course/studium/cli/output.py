"""What commands print: JSON for programs, tables for people."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import typer

_GAP = 2  # blanks after a column
_STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def plain(text: str) -> str:
    """Return text that cannot steer a terminal: control characters, as in a file's name, are escaped."""
    return _STEERING.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def print_json(value: Any) -> None:
    """Print a value made of plain data and msgspec structs as indented JSON."""
    typer.echo(msgspec.json.format(msgspec.json.encode(value), indent=2))  # UTF-8, whatever the terminal uses


def print_table(header: Sequence[str], rows: Iterable[Sequence[str]], *, whole: str | None = None) -> None:
    """Print rows under a header. Text wraps at the terminal's width, and nothing is cut off.

    ``whole`` is the column that people copy from, so it never wraps.
    """
    from rich.console import Console  # JSON need not pay these 60 ms
    from rich.table import Table

    console = Console(highlight=False, markup=False, emoji=False)
    shown = [[plain(text) for text in row] for row in rows]
    widths = _widths([header, *shown], whole, console.width - _GAP * len(header))
    table = Table(box=None, header_style="bold", padding=(0, _GAP, 0, 0))
    for name, width in zip(header, widths, strict=True):
        table.add_column(name, overflow="fold", no_wrap=name == whole, width=width)
    for row in shown:
        table.add_row(*row)
    console.print(table)


def _widths(lines: Sequence[Sequence[str]], whole: str | None, room: int) -> Sequence[int | None]:
    """Return the columns' widths: the widest ones shrink as far as they can without breaking a word.

    If that is still too wide for the terminal, every width is None and rich decides.
    """
    from rich.cells import cell_len

    columns = list(zip(*lines, strict=True))
    widths = [max(map(cell_len, column)) for column in columns]
    least = [max(cell_len(word) for text in column for word in text.split() or [""]) for column in columns]
    loose = [place for place, column in enumerate(columns) if column[0] != whole]
    while sum(widths) > room:
        wide = max((place for place in loose if widths[place] > least[place]), key=widths.__getitem__, default=None)
        if wide is None:
            return [None] * len(widths)
        widths[wide] -= 1
    return widths
