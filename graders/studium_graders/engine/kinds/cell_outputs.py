"""What a cell may show: how much of it is kept, and text that can be sent."""

from typing import Any

RICH = 8  # what a cell shows may be so many times what it prints: pictures are large
MOST_OUTPUTS = 1000
MOST_OF_CELL = RICH + 8
MOST_OF_ERROR = 2000  # characters


def size_of(outputs: Any, most: int) -> int:
    """Return the number of characters and parts of outputs, a part as often as it occurs; no more than over ``most``.

    What ``Cells`` gives of one cell has no more than ``MOST_OF_CELL`` for each character that a cell may print.
    """
    size, waiting = 0, [outputs]
    while waiting and size <= most:
        value = waiting.pop()
        size += 1 + (len(value) if isinstance(value, str | bytes) else 0)
        if isinstance(value, list | tuple | dict):
            size += len(value)
            waiting += [*value, *value.values()] if isinstance(value, dict) else value
    return size


def sendable(text: str) -> str:
    """Return text in which a "?" is where a lone surrogate was, as Python has them in the names of some files."""
    return text.encode("utf-8", "replace").decode()
