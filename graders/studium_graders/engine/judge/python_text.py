"""From a cell's text to Python's own syntax tree, by IPython's rules: magics, prompts, indentation, semicolons."""

import ast
import io
import tokenize
from itertools import takewhile

from IPython.core.inputtransformer2 import TransformerManager

# These change how a notebook shows things, and nothing that a test could see.
_HARMLESS = {"matplotlib", "load_ext", "reload_ext", "autoreload", "config", "precision", "pylab"}
_SKIPPED = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}


def parse(source: str) -> ast.Module | None:
    """Return the tree of a cell, without what is mere display, or None where it is not Python.

    Its lines have the numbers that they have in the cell, though IPython drops empty ones at the beginning.
    """
    lines = source.splitlines(keepends=True)
    if lines and lines[0].strip() in ("%%time", "%%capture"):
        lines[0] = "\n"
    empty = sum(1 for _ in takewhile(str.isspace, lines))
    try:
        tree: ast.Module = ast.parse("\n" * empty + TransformerManager().transform_cell("".join(lines)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    tree.body = [node for node in tree.body if not (magic(node) in _HARMLESS or _shows_pictures(node))]
    return tree


def _shows_pictures(node: ast.stmt) -> bool:
    """Return whether a statement shows pictures, which are those of the student's process."""
    match node:
        case ast.Expr(ast.Call(ast.Attribute(ast.Name("plt" | "pyplot"), "show"))):
            return True
    return False


def magic(node: ast.stmt) -> str:
    """Return the name of the line magic that a statement is, or ""."""
    match node:
        case ast.Expr(
            ast.Call(ast.Attribute(ast.Call(ast.Name("get_ipython")), "run_line_magic"), [ast.Constant(str(name)), *_])
        ):
            return name
    return ""


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
