"""What commands print: JSON for programs, tables for people."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import typer


def print_json(value: Any) -> None:
    """Print a value, made of plain data and msgspec structs, as indented JSON."""
    typer.echo(msgspec.json.format(msgspec.json.encode(value), indent=2))  # UTF-8, whatever the terminal has


def print_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows under a header; the terminal's width decides where text wraps."""
    from rich.console import Console  # 60 ms that JSON need not pay
    from rich.table import Table

    table = Table(*header, box=None, header_style="bold", padding=(0, 2, 0, 0))
    for row in rows:
        table.add_row(*row)
    Console(highlight=False, markup=False, emoji=False).print(table)
