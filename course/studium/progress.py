"""Progress bars for long work, in the terminal and in notebooks; silent where nobody watches."""

import sys
from collections.abc import Iterable, Sequence
from typing import TypeVar

T = TypeVar("T")


def track(items: Iterable[T] | Sequence[T], description: str, *, total: float | None = None) -> Iterable[T]:
    """Go through ``items`` behind a bar with the rate and the time left, which vanishes at the end."""
    from rich.console import Console
    from rich.progress import track as rich_track

    console = Console(file=sys.stderr)
    watched = console.is_terminal or console.is_jupyter
    return rich_track(items, description, total=total, console=console, transient=True, disable=not watched)
