"""What commands print: JSON for programs, tables for people."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import typer

_STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def plain(text: str) -> str:
    """Return text that cannot steer a terminal: a control character, as in a file's name, becomes the escape for it."""
    return _STEERING.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def print_json(value: Any) -> None:
    """Print a value, made of plain data and msgspec structs, as indented JSON."""
    typer.echo(msgspec.json.format(msgspec.json.encode(value), indent=2))  # UTF-8, whatever the terminal has


def print_table(header: Sequence[str], rows: Iterable[Sequence[str]], *, whole: str | None = None) -> None:
    """Print rows under a header; the terminal's width decides where text wraps, and cuts nothing.

    ``whole`` is the column that people type from: it never wraps.
    """
    from rich.console import Console  # 60 ms that JSON need not pay
    from rich.table import Table

    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for name in header:
        table.add_column(name, overflow="fold", no_wrap=name == whole)
    for row in rows:
        table.add_row(*map(plain, row))
    Console(highlight=False, markup=False, emoji=False).print(table)
