"""What a cell may show: how much of it is kept, text that can be sent, and the number that it ends with."""

import re
from typing import Any

_NUMPY_NUMBER = re.compile(r"np\.(?:float|u?int)\d+\((.+)\)")
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


def number_of(text: str) -> float | None:
    """Return the number that a text is, None for another."""
    try:
        return float(_NUMPY_NUMBER.sub(r"\1", text))
    except ValueError:
        return None


def number_shown(outputs: list[dict[str, Any]]) -> float | None:
    """Return the number that the value of a cell's last line is, None where it is none."""
    shown = [output["data"].get("text/plain", "") for output in outputs if output["output_type"] == "execute_result"]
    return number_of("".join(shown[0])) if shown else None
