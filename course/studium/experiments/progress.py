"""Progress bars for long tasks, in the terminal and in notebooks; silent if nobody is watching."""

import sys
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sized
from contextlib import AbstractContextManager, contextmanager, nullcontext
from html import escape
from typing import Any, TypeVar

T = TypeVar("T")
Draw = Callable[[int, str], None]  # returns how many items are done, and the words next to the bar

_EVERY = 0.1  # seconds between two updates; anything shorter shows no bar in a notebook


def track(
    items: Iterable[T], description: str, *, total: float | None = None, note: Callable[[], str] | None = None
) -> Generator[T]:
    """Yield ``items`` while showing a bar with the time left, which disappears at the end.

    ``total`` is the number of items if they have no length. ``note()``, called up to ten times a second, returns a few
    words to show next to the bar.
    """
    size = len(items) if total is None and isinstance(items, Sized) else total
    with _bar(description, size) as draw:
        drawn = time.monotonic()
        for count, item in enumerate(items, 1):
            yield item
            if time.monotonic() - drawn >= _EVERY:
                draw(count, note() if note else "")
                drawn = time.monotonic()


def _bar(description: str, total: float | None) -> AbstractContextManager[Draw]:
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if hasattr(shell, "kernel"):
        return _notebook_bar(description, total)
    return _terminal_bar(description, total) if _watched() else nullcontext(lambda count, note: None)


def _watched() -> bool:
    from rich.console import Console

    return Console(stderr=True).is_terminal


@contextmanager
def _terminal_bar(description: str, total: float | None) -> Iterator[Draw]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    words = [TextColumn("{task.description}"), TextColumn("{task.fields[note]}")]
    columns = (words[0], BarColumn(), MofNCompleteColumn(), words[1], TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(description, total=total, note="")
        yield lambda count, note: bar.update(task, completed=count, note=note)


@contextmanager
def _notebook_bar(description: str, total: float | None) -> Iterator[Draw]:
    """Draw into one output of the cell. At the end that output is empty, so it takes no space.

    rich and tqdm leave an ipywidgets view there, which breaks once the page is reloaded.
    """
    from IPython.display import HTML, display

    begun, shown = time.monotonic(), list[Any]()

    def draw(count: int, note: str) -> None:
        picture = HTML(_markup(description, count, total, note, time.monotonic() - begun))
        if shown:
            shown[0].update(picture)
        else:
            shown.append(display(picture, display_id=True))

    try:
        yield draw
    finally:
        for handle in shown:
            handle.update({}, raw=True)


def _markup(description: str, count: int, total: float | None, note: str, seconds: float) -> str:
    words = [f"{count}/{total:g}" if total else str(count), note]
    words += [f"{seconds / count * (total - count):.0f} s left"] if total else []
    bar = f'<progress value="{count}" max="{total:g}" aria-label="{escape(description)}"></progress> ' if total else ""
    return f"<div>{escape(description)} {bar}{escape(' · '.join(filter(None, words)))}</div>"
