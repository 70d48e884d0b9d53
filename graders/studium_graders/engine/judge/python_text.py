"""From a cell's text to Python's own syntax tree, by IPython's rules: magics, prompts, indentation, semicolons."""

import ast
import io
import tokenize

from IPython.core.inputtransformer2 import TransformerManager
from studium.exercises import syntax

_SKIPPED = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}


def parse(source: str) -> ast.Module | None:
    """Return the tree of a cell, or None where it is not Python."""
    lines = source.splitlines(keepends=True)
    if lines and lines[0].strip() in ("%%time", "%%capture"):
        lines[0] = "\n"
    try:
        tree: ast.Module = syntax.parse(TransformerManager().transform_cell("".join(lines)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return tree


def is_silenced(source: str) -> bool:
    """Return whether a cell ends with a semicolon, so that its last value is not shown."""
    last = ""
    try:
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type not in _SKIPPED:
                last = token.string
    except (tokenize.TokenError, SyntaxError):
        pass
    return last == ";"
