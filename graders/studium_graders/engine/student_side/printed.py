"""What student code prints: collected in the order of printing, in the place of sys.stdout and sys.stderr."""

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from typing import Any

from studium_graders.engine.processes.exit_codes import TOO_MUCH_OUTPUT

_MANY = 100


class Printed:
    """Collects what is printed, in the order of printing, and stops at a number of characters.

    A hundred times that number ends the process.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._left = most
        self._bearable = _MANY * most
        self.parts: list[list[str]] = []
        self.full = False

    def write(self, name: str, text: str) -> None:
        """Add text of a stream; what is over the cap is dropped, and a line says so."""
        self._bearable -= len(text)
        if self._bearable < 0:
            os._exit(TOO_MUCH_OUTPUT)
        if self.full or not text:
            return
        if len(text) > self._left:
            self.full = True
            text = text[: self._left] + f"\n… more output was dropped: {self._most >> 10} KB are kept of each cell\n"
        self._left -= len(text)
        if self.parts and self.parts[-1][0] == name:
            self.parts[-1][1] += text
        else:
            self.parts.append([name, text])

    def take(self) -> list[list[str]]:
        """Return what was printed since the last time."""
        parts, self.parts = self.parts, []
        return parts


class Stream:
    """Stands where sys.stdout or sys.stderr was."""

    encoding = "utf-8"
    errors = "replace"
    newlines = None
    closed = False

    def __init__(self, name: str, printed: Printed) -> None:
        self.name = name
        self.printed = printed

    def write(self, text: str) -> int:
        """Collect text."""
        if not isinstance(text, str):
            raise TypeError(f"write() takes a str, got {type(text).__name__}")
        self.printed.write(self.name, str.__str__(text))
        return len(text)

    def writelines(self, lines: Any) -> None:
        """Collect several texts."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Do nothing: nothing is held back."""

    def isatty(self) -> bool:
        """Return that nobody is watching."""
        return False

    def writable(self) -> bool:
        """Return that text can be written."""
        return True

    def readable(self) -> bool:
        """Return that nothing can be read."""
        return False

    def fileno(self) -> int:
        """Raise OSError, as streams do that have no file behind them."""
        raise io.UnsupportedOperation("printed output is collected here: there is no file descriptor")


@contextlib.contextmanager
def collected(printed: Printed) -> Iterator[None]:
    """Send what is printed to ``printed``."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = Stream("stdout", printed), Stream("stderr", printed)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
