"""What the student wrote, from the canonical notebook: the only text of theirs that a message is given."""


class CanonicalText:
    """The cells that have run so far."""

    def __init__(self) -> None:
        self._lines: set[str] = set()

    def add(self, source: str) -> None:
        """Take in a cell."""
        self._lines.update(line.strip() for line in source.splitlines())

    def has_line(self, line: str) -> bool:
        """Return whether a line is the student's own, word for word."""
        return bool(line.strip()) and line.strip() in self._lines
