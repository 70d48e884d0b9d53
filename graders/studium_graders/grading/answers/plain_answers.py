"""Answers without what can be changed in a minute: comments, docstrings, layout, and the student's own names."""

import ast
import io
import tokenize
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache

from studium_graders.grading.answers.fingerprints import MOST_READ, own_names, parsed
from studium_graders.grading.answers.misconception_code import without_bare_constants


@lru_cache(maxsize=4096)  # the same stubs and answers come up again and again
def plain_code(source: str) -> str:
    """Return code with one statement per line; for a cell that is not Python, its text without comments and layout."""
    with suppress(ValueError):
        if (tree := parsed(source)) and (code := ast.unparse(_with_numbers(without_bare_constants(tree)))):
            return code
    return plain_text("\n".join(line.partition("#")[0] for line in source.splitlines()))


def plain_text(source: str) -> str:
    """Return a text without its layout, with a line for each meaningful line."""
    return "\n".join(filter(None, (" ".join(line.split()) for line in source.splitlines())))


def remarks(source: str) -> Iterator[str]:
    """Return the comments at the start of a cell, and its docstrings and other stand-alone strings."""
    source = source[:MOST_READ]
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    except (tokenize.TokenError, SyntaxError):
        yield from (f"#{line.partition('#')[2]}" for line in source.splitlines() if "#" in line)
    else:
        yield from (token.string for token in tokens if token.type == tokenize.COMMENT)
    for node in ast.walk(parsed(source) or ast.Module([], [])):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.value.value


def _with_numbers(tree: ast.Module) -> ast.Module:
    """Number the names that the code defines, in order of appearance."""
    own = own_names(tree)
    numbers: dict[str, str] = {}
    for node in ast.walk(tree):
        for field in ("id", "arg", "name"):
            name = getattr(node, field, None)
            if name in own and isinstance(node, ast.Name | ast.arg | ast.FunctionDef | ast.ClassDef):
                setattr(node, field, numbers.setdefault(name, f"own{len(numbers)}"))
    return tree
