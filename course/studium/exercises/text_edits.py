"""Change a piece of source text using the places in its syntax tree, given in bytes, as ``ast`` counts columns."""

import ast
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Edit:
    """Replace the bytes from ``start`` up to ``end``."""

    start: int
    end: int
    text: bytes


class SourceText:
    """The text of a module, with the places of its nodes."""

    def __init__(self, text: str) -> None:
        self.text = text.encode()
        self._starts = [0]
        for line in self.text.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))

    def span(self, node: ast.AST) -> tuple[int, int]:
        """Return the first byte of a node and the byte after its last."""
        start = self._starts[node.lineno - 1] + node.col_offset  # type: ignore[attr-defined]
        return start, self._starts[node.end_lineno - 1] + node.end_col_offset  # type: ignore[attr-defined]

    def find(self, symbol: str, start: int, end: int) -> int:
        """Return the place of an operator between two operands."""
        return self.text.index(symbol.encode(), start, end)

    def solution_lines(self, function: ast.FunctionDef) -> range:
        """Return the line numbers between a function's solution markers, or of its whole body if it has none."""
        lines = self.text.decode().splitlines()[: (function.end_lineno or 0) + 1]
        marks = {
            word: next((n for n, line in enumerate(lines, 1) if n > function.lineno and word in line), None)
            for word in ("### BEGIN SOLUTION", "### END SOLUTION")
        }
        first, last = marks.values()
        return range((first or function.lineno) + 1, last or len(lines) + 1)

    def function(self, node: ast.FunctionDef, edits: Iterable[Edit]) -> str:
        """Return a function's text without its decorators, edited, at its original line."""
        start, end = self._starts[node.lineno - 1], self._starts[node.end_lineno or 0]
        text = self.text[start:end]
        for edit in edits:
            text = text[: edit.start - start] + edit.text + text[edit.end - start :]
        return "\n" * (node.lineno - 1) + text.decode()

    def changed_lines(self, edit: Edit) -> tuple[int, str, str]:
        """Return the first line of an edit, and the whole lines that it touches, before and after."""
        first = self.text.count(b"\n", 0, edit.start)
        last = self.text.count(b"\n", 0, edit.end)
        start, end = self._starts[first], self._starts[last + 1]
        after = self.text[start : edit.start] + edit.text + self.text[edit.end : end]
        return first + 1, self.text[start:end].decode(), after.decode()
